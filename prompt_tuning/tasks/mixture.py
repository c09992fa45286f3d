"""Several tasks at once, drawn in fixed proportions (the paper's multi-task baseline)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Example, Task, unknown
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.sources import DataConfig

# Proportional to the number of training examples (T5's weights for SuperGLUE with DPR and for GLUE
# without WNLI; ReCoRD counts one example per gold answer).
MIXTURES: dict[str, dict[str, float]] = {
    "super_glue": {
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
    "glue": {
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


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Tasks with positive weights; `rates` are the weights scaled to sum to 1."""

    name: str
    tasks: tuple[Task, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.tasks or len(self.tasks) != len(self.weights):
            raise UserError(f"the mixture {self.name} needs tasks and as many weights")
        if any(not weight > 0 for weight in self.weights):
            raise UserError(f"the mixture {self.name} has a weight that is not positive")

    @property
    def rates(self) -> tuple[float, ...]:
        total = sum(self.weights)
        return tuple(weight / total for weight in self.weights)

    def load(self, split: str = "train") -> list[list[Example]]:
        """The examples of each task in the order of `tasks`."""
        return [task.load(split) for task in self.tasks]


def get_mixture(name: str, data: DataConfig | None = None, *, name_in_text: bool = True) -> Mixture:
    """The mixture "super_glue" (with DPR) or "glue", with the task name in the text by default."""
    if name not in MIXTURES:
        raise unknown("mixture", name, MIXTURES)
    weights = MIXTURES[name]
    tasks = tuple(get_task(task, data, name_in_text=name_in_text) for task in weights)
    return Mixture(name, tasks, tuple(weights.values()))


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
