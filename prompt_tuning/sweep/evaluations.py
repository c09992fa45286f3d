"""What some experiments do with tuned prompts: other tasks, ensembles, nearest neighbours.

An experiment file's `evaluations(runs)` gives these for the runs that were chosen. Each leaves one
JSON file and is not done again; it waits until its runs are done.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.ensemble import ensemble
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.prompts.files import write_json
from prompt_tuning.prompts.neighbours import clusters, label_persistence, nearest, tightness
from prompt_tuning.prompts.prompt import Prompt
from prompt_tuning.sweep.status import read_result
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.tasks.base import Scores, Task
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.training.run import Run

ENSEMBLES = "ensembles"  # folder in the results folder
NEIGHBOURS = "neighbours.json"  # in a run's directory
METRICS = ("cosine", "dot", "euclidean")
LoadModel = Callable[[Run], FrozenT5]


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """A tuned prompt or model on another task: domain shift (Table 1), transfer (Table 2)."""

    run: Run
    task: str
    split: str = "validation"

    @property
    def runs(self) -> tuple[Run, ...]:
        return (self.run,)

    def file(self, out: pathlib.Path) -> pathlib.Path:
        name = f"{self.task}-{self.split}".replace("/", "-")
        return out / self.run.id / "elsewhere" / f"{name}.json"

    def do(self, out: pathlib.Path, load: LoadModel) -> dict[str, Any]:
        run, prompt = self.run, None
        if run.method == "prompt":
            t5, prompt = load(run), read_result(out / run.id).prompt
        else:
            t5 = load_t5(out / run.id / "best_model", dtype=run.dtype)
        task = get_task(self.task, run.data, name_in_text=run.task_name_in_text)
        found = evaluate(t5, task, prompt, split=self.split, sentinel=run.sentinel, **_reading(run))
        return {"task": self.task, "split": self.split, **_scores(found.scores, task)}


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """The prompts of several runs on one task over one model, by majority vote (Table 3)."""

    runs: tuple[Run, ...]

    def file(self, out: pathlib.Path) -> pathlib.Path:
        first = self.runs[0]
        digest = hashlib.sha256(" ".join(sorted(run.id for run in self.runs)).encode())
        name = f"{first.model}-{first.task}-{len(self.runs)}-{digest.hexdigest()[:8]}"
        return out / ENSEMBLES / f"{name.replace('/', '-').replace(':', '-')}.json"

    def do(self, out: pathlib.Path, load: LoadModel) -> dict[str, Any]:
        first = self.runs[0]
        shared = ("model", "revision", "tokenizer", "dtype", "task", "dev_split")
        for name in shared:
            if len({getattr(run, name) for run in self.runs}) > 1:
                raise UserError(f"the runs of an ensemble differ in {name}")
        task = first.get_task()
        prompts = [read_result(out / run.id).prompt for run in self.runs]
        found = ensemble(load(first), task, prompts, split=first.dev_split, **_reading(first))
        return {
            "task": first.task,
            "split": first.dev_split,
            "runs": [run.id for run in self.runs],
            "average": found.average,
            "best": found.best,
            "singles": [_scores(single.scores, task) for single in found.single],
            **_scores(found.vote.scores, task),
        }


@dataclasses.dataclass(frozen=True)
class Reading:
    """The vocabulary items nearest to a prompt's rows, by three measures (section 7)."""

    run: Run
    k: int = 5  # the paper's

    @property
    def runs(self) -> tuple[Run, ...]:
        return (self.run,)

    def file(self, out: pathlib.Path) -> pathlib.Path:
        return out / self.run.id / NEIGHBOURS

    def do(self, out: pathlib.Path, load: LoadModel) -> dict[str, Any]:
        t5, prompt = load(self.run), read_result(out / self.run.id).prompt
        return {
            metric: read_prompt(prompt, t5, self.run.get_task().prompt_words, self.k, metric)
            for metric in METRICS
        }


Evaluation = Elsewhere | Ensemble | Reading


def read_prompt(
    prompt: Prompt, t5: FrozenT5, labels: Sequence[str], k: int, metric: str
) -> dict[str, Any]:
    """Neighbours, clusters, how alike neighbours are (and those of random vectors), and the labels.

    "persisted": the share of label pieces that are among some row's neighbours, per cent.
    """
    found = nearest(prompt, t5, k, metric)
    noise = np.random.Generator(np.random.Philox(0)).standard_normal(prompt.array.shape)
    spread = float(prompt.array.std())
    random = nearest(Prompt((noise * spread).astype(np.float32)), t5, k, metric)
    pieces = label_persistence(found, t5.tokenizer, labels)
    near = [piece for piece in pieces if piece.rows]
    return {
        "pieces": [list(row) for row in found.pieces],
        "clusters": [{"piece": c.piece, "rows": list(c.rows)} for c in clusters(found)],
        "tightness": float(tightness(found, t5).mean()) if k > 1 else None,
        "tightness_of_random": float(tightness(random, t5).mean()) if k > 1 else None,
        "labels": [dataclasses.asdict(piece) for piece in pieces],
        "persisted": 100 * len(near) / len(pieces) if pieces else None,
    }


def done(evaluation: Evaluation, out: pathlib.Path) -> bool:
    """Whether its file is there, sound, and of what its runs have now: they may be done again."""
    path = evaluation.file(out)
    return is_sound(path) and (read_file(path) or {}).get("of") == _digests(evaluation, out)


def _digests(evaluation: Evaluation, out: pathlib.Path) -> dict[str, str] | None:
    """sha256 of each run's result and prompt; None if one has no result."""
    found = {}
    for run in evaluation.runs:
        prompt = out / run.id / "best_prompt.safetensors"
        try:
            content = (out / run.id / "result.json").read_bytes()
            content += prompt.read_bytes() if prompt.exists() else b""
        except OSError:
            return None
        found[run.id] = hashlib.sha256(content).hexdigest()
    return found


def is_sound(path: pathlib.Path) -> bool:
    """Whether an evaluation has left this file, whole."""
    read = read_reading if path.name == NEIGHBOURS else read_file
    return read(path) is not None


def read_file(path: pathlib.Path) -> dict[str, Any] | None:
    """What an evaluation left; None if there is nothing sound."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def read_reading(path: pathlib.Path) -> dict[str, Any] | None:
    """What a `Reading` left; None if there is none, or not all of it."""
    values = read_file(path) or {}
    wanted = {"pieces", "clusters", "tightness", "tightness_of_random", "labels", "persisted"}
    whole = all(
        isinstance(values.get(m), dict) and wanted <= values[m].keys() and values[m]["pieces"]
        for m in METRICS
    )
    return values if whole else None


def evaluate_run(evaluation: Evaluation, out: pathlib.Path, load: LoadModel) -> None:
    """Do an evaluation whose runs are done, and write its file."""
    of = _digests(evaluation, out)
    write_json(evaluation.file(out), {**evaluation.do(out, load), "of": of})


def _reading(run: Run) -> dict[str, Any]:
    return {
        "method": run.evaluation,
        "max_input_length": run.max_input_length,
        "max_target_length": run.max_target_length,
        "limit": run.dev_examples,
    }


def _scores(scores: Scores, task: Task) -> dict[str, Any]:
    return {
        "score": scores.primary,
        "metrics": scores.metrics,
        "select": list(task.select),
        "invalid": scores.invalid,
    }
