"""Several tasks at once, drawn in fixed proportions (the paper's multi-task baseline)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Example, Row, Task

# Proportional to the number of training examples (T5's weights for SuperGLUE with DPR and for GLUE
# without WNLI; ReCoRD counts one example per gold answer).
MIXTURES: dict[str, dict[str, float]] = {
    "mixture/super_glue": {
        "dpr": 1322,
        "super_glue/wsc": 259,
        "super_glue/boolq": 9427,
        "super_glue/cb": 250,
        "super_glue/copa": 400,
        "super_glue/multirc": 27243,
        "super_glue/record": 138854,
        "super_glue/rte": 2490,
        "super_glue/wic": 5428,
    },
    "mixture/glue": {
        "glue/cola": 8551,
        "glue/sst2": 67349,
        "glue/mrpc": 3668,
        "glue/qqp": 363849,
        "glue/stsb": 5749,
        "glue/mnli": 392702,
        "glue/qnli": 104743,
        "glue/rte": 2490,
    },
}


def mix(name: str, tasks: Sequence[Task], weights: Sequence[float]) -> Task:
    """Several tasks as one: their examples together, their mean score, drawn by `weights`.

    The examples of task n have ids "n/...". `Scores.primary` is the unweighted mean of the tasks'
    primary scores; an output is invalid if the task of its example says so. A split is that of the
    tasks that have it (DPR has no "validation").
    """
    if not tasks or len(tasks) != len(weights):
        raise UserError(f"the mixture {name} needs tasks and as many weights")
    if any(not weight > 0 for weight in weights):
        raise UserError(f"the mixture {name} has a weight that is not positive")
    members = tuple(tasks)

    def form(row: Row, training: bool) -> list[Example]:
        number = row["task"]
        task = members[number]
        before = f"{task.prefix} " if task.name_in_text and task.prefix else ""
        try:
            examples = task.examples_of(row["row"], training)
        except ValueError as error:
            raise ValueError(f"of {task.name}, {error}") from error
        return [
            dataclasses.replace(e, id=f"{number}/{e.id}", input=before + e.input) for e in examples
        ]

    def measure(
        examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
    ) -> dict[str, float]:
        of_task: dict[int, list[int]] = {}
        for n, example in enumerate(examples):
            of_task.setdefault(int(example.id.partition("/")[0]), []).append(n)
        metrics, primary = {}, []
        for number, places in sorted(of_task.items()):
            task = members[number]
            scores = task.score([examples[n] for n in places], [outputs[n] for n in places])
            metrics |= {f"{task.name} {key}": value for key, value in scores.metrics.items()}
            primary.append(scores.primary)
        return {**metrics, "average": sum(primary) / len(primary)}

    return Task(
        name=name,
        source=_Together(members),
        format=form,
        measure=measure,
        select=("average",),
        members=members,
        weights=tuple(weights),
    )


@dataclasses.dataclass(frozen=True)
class _Together:
    """The rows of several tasks, each with the number of its task."""

    tasks: tuple[Task, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(split for task in self.tasks for split in task.splits))

    def rows(self, split: str) -> list[Row]:
        having = [(n, task) for n, task in enumerate(self.tasks) if split in task.splits]
        if not having:
            raise UserError(f"none of the tasks has a split {split!r}: {', '.join(self.splits)}")
        return [{"task": n, "row": row} for n, task in having for row in task.source.rows(split)]

    def describe(self, split: str) -> dict[str, Any]:
        return {t.name: t.source.describe(split) for t in self.tasks if split in t.splits}


def draw(sizes: Sequence[int], rates: Sequence[float], seed: int, count: int) -> np.ndarray:
    """The first `count` examples of a mixture's stream, int64 [count, 2]: (task, example).

    sizes [tasks]: examples per task; rates [tasks]: probabilities. Each task is passed through in
    a new random order time after time. The stream depends on the arguments only, and a longer
    `count` extends a shorter one, so that a run can continue it.
    """
    if min(sizes) < 1:
        raise UserError("a task of the mixture has no examples")
    edges = np.cumsum(np.asarray(rates, np.float64))
    points = np.random.Generator(np.random.Philox(seed)).random(count) * edges[-1]
    task = np.searchsorted(edges[:-1], points, side="right").astype(np.int64)
    stream = np.zeros((count, 2), np.int64)
    stream[:, 0] = task
    for number, size in enumerate(sizes):
        places = np.flatnonzero(task == number)
        passes = range(-(-len(places) // size))
        orders = [
            np.random.default_rng([seed, number, epoch]).permutation(size) for epoch in passes
        ]
        if orders:
            stream[places, 1] = np.concatenate(orders)[: len(places)]
    return stream
