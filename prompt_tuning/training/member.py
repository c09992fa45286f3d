"""One run inside a population: its data, its directory, its best score."""

import contextlib
import dataclasses
import json
import logging
import math
import pathlib
import shutil
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import (
    check_place,
    label_ids,
    target_start,
    write_predictions,
)
from prompt_tuning.evaluation.jobs import Job
from prompt_tuning.prompts.files import write_json
from prompt_tuning.prompts.init import init_prompt
from prompt_tuning.prompts.marks import PROMPT_MARK
from prompt_tuning.prompts.prompt import Prompt, base_metadata, load_prompt
from prompt_tuning.t5.load import FrozenT5, save_t5
from prompt_tuning.t5.model import count_params
from prompt_tuning.tasks.base import Scores, Task
from prompt_tuning.tasks.mixture import draw
from prompt_tuning.tasks.sources.files import parse_object
from prompt_tuning.training.batches import example_numbers, permutation
from prompt_tuning.training.data import SharedData, TrainingData, training_examples
from prompt_tuning.training.records import append_jsonl, environment
from prompt_tuning.training.run import Run

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run. Scores are those of the best step, on the dev split."""

    run: Run
    directory: pathlib.Path
    score: float  # the task's dev metric; the mean of those that the task selects by
    metrics: dict[str, float]
    invalid: float  # percentage of outputs that are no legal answer
    best_step: int
    steps: int  # updates done; fewer than asked for if it stopped early

    @property
    def prompt(self) -> Prompt:
        """The best prompt (of a prompt-tuning run)."""
        return load_prompt(self.directory / "best_prompt.safetensors")


def load_result(directory: pathlib.Path) -> Result:
    """The result in a run's directory. Raises UserError where there is none, or a damaged one."""
    try:
        values = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        run = Run.from_dict(values.pop("run"))
        return Result(run=run, directory=directory, **values)
    except FileNotFoundError as error:
        raise UserError(f"{directory} holds no finished run (no result.json)") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{directory}/result.json is damaged ({error}): remove it to train the run again; "
            "a sweep does so by itself"
        ) from error


@dataclasses.dataclass
class Progress:
    """What a checkpoint remembers beside arrays. All JSON values."""

    best: float | None = None
    best_step: int = 0
    best_scores: dict[str, Any] = dataclasses.field(default_factory=dict)
    since_best: int = 0  # evaluations
    ended: int | None = None  # the step of early stopping
    failed: int | None = None  # the step of a non-finite loss
    seconds: float = 0.0


class Member:
    """A run with everything it needs; `number` is its place in the population."""

    def __init__(self, run: Run, directory: pathlib.Path, data: SharedData):
        self.run, self.directory, self.t5 = run, directory, data.t5
        self.progress = Progress()
        self.task = run.get_task()
        if run.method == "prompt":
            check_place(self.task, run.prompt.position)
        self.train, self.dev, self.notes = data.load(self.task, run)
        t5 = data.t5
        self.start = initial_prompt(run, self.task, t5) if run.method == "prompt" else None
        self.mixed = _mixture(self.task, self.train, run)
        self.target_start = target_start(t5, run.sentinel)
        self.label_ids = label_ids(
            self.task, t5, run.evaluation, run.max_target_length, self.target_start
        )

    @property
    def active(self) -> bool:
        """Whether its results still change."""
        return self.progress.ended is None and self.progress.failed is None

    @property
    def metrics_path(self) -> pathlib.Path:
        return self.directory / "metrics.jsonl"

    @property
    def checkpoints(self) -> pathlib.Path:
        return self.directory / "checkpoints"

    def examples(self, step: int) -> list[int]:
        """The example numbers of a step's batch."""
        size = self.run.batch_size
        if self.mixed is not None:
            return self.mixed[step * size : (step + 1) * size].tolist()
        return example_numbers(self.run.seed, step, size, len(self.train.rows))

    def sizes(self, n: int) -> tuple[int, int]:
        """Encoder ids, with the prompt, and target ids of a training example."""
        rows = 0 if self.start is None else len(self.start.array)
        return len(self.train.rows[n].ids) + rows, len(self.train.targets[n])

    def job(self, virtual: Sequence[int]) -> Job:
        """The dev split, with the prompt's ids in place, as it is to be answered."""
        return Job(
            rows=[row.with_prompt(virtual) for row in self.dev.rows],
            evaluation=self.run.evaluation,
            max_length=self.run.max_target_length,
            labels=self.task.labels,
            label_ids=self.label_ids,
            start=self.target_start,
        )

    def params(self) -> dict[str, Any]:
        """The initial parameters: what is trained in float32, the frozen weights as they are."""
        if self.start is not None:
            return {"model": self.t5.params, "prompt": {"table": self.start.array}}
        model = jax.tree.map(lambda x: np.asarray(x, np.float32), self.t5.params)
        return {"model": model}

    def record(
        self, step: int, scores: Scores, predictions: list[str], trainable: Any, padding: float
    ) -> None:
        """Log an evaluation; if it is the best so far, keep its prompt and its predictions.

        padding: the share of the encoder's ids in the batches of its population.
        """
        if not math.isfinite(scores.primary):
            raise UserError(f"{self.run.id}: the dev score at step {step} is {scores.primary}")
        row = {"step": step, "kind": "eval", "score": scores.primary, "invalid": scores.invalid}
        append_jsonl(self.metrics_path, {**row, **scores.metrics, "padding": padding})
        progress = self.progress
        if progress.best is not None and scores.primary <= progress.best:
            progress.since_best += 1
            if self.run.patience is not None and progress.since_best >= self.run.patience:
                progress.ended = step
                self.save(trainable, step, "last")
            return
        progress.best, progress.best_step, progress.since_best = scores.primary, step, 0
        progress.best_scores = {"metrics": scores.metrics, "invalid": scores.invalid}
        write_predictions(self.directory / "predictions.jsonl", self.dev.examples, predictions)
        self.save(trainable, step, "best")

    def save(self, trainable: Any, step: int, which: str) -> None:
        """Write the "best" or "last" prompt (or model) of this run."""
        if self.start is None:
            tuned = dataclasses.replace(self.t5, params=trainable["model"], name=self.run.id)
            folder, fresh = self.directory / f"{which}_model", self.directory / f".{which}_model"
            shutil.rmtree(fresh, ignore_errors=True)  # a kill may have left it
            # The best is kept as it was scored; the last could be trained on.
            save_t5(tuned, fresh, str(self.t5.dtype) if which == "best" else None)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
            return
        facts = {
            **base_metadata(self.t5),
            "task": self.run.task,
            "text_format": _text_format(self.run),
            "init": str(self.run.prompt.init),
            "seed": str(self.run.seed),
            "run_id": self.run.id,
            "step": str(step),
            "metric": "+".join(self.task.select or self.progress.best_scores["metrics"]),
        }
        if self.run.sentinel:
            facts["sentinel"] = "<extra_id_0>"
        if which == "best":
            facts["score"] = str(self.progress.best)
        rows_PD = np.asarray(trainable["prompt"]["table"])
        prompt = Prompt(rows_PD, self.start.position, self.start.template, facts)
        prompt.save(self.directory / f"{which}_prompt.safetensors")

    def check_unchanged(self) -> None:
        """Raise UserError if the run was begun with other data or another model."""
        before = read_manifest(self.directory) if self.checkpoints.exists() else {}
        if not before:
            return
        for part, facts in self.notes.items():
            known = {**facts, **before["data"][part]}
            if any(known[key] != facts[key] for key in ("content_hash", "order_hash")):
                raise _changed(self.directory, f"the data of split {facts['split']}")
        _check_base(self.directory, before, self.t5)

    def write_config(self) -> None:
        """The run's configuration and manifest: which bytes, versions and weights it used."""
        write_json(self.directory / "config.json", self.run.to_dict())
        parameters = count_params(self.t5.config)
        manifest = {
            "model": {"name": self.t5.name, "parameters": parameters, **base_metadata(self.t5)},
            "trainable": parameters if self.start is None else self.start.array.size,
            "data": self.notes,
            **environment(),
        }
        write_json(self.directory / "manifest.json", manifest)

    def finish(self, step: int) -> Result:
        """Write result.json, last of all: its presence says that the run is complete."""
        progress = self.progress
        assert progress.best is not None
        values = {
            "score": progress.best,
            **progress.best_scores,
            "best_step": progress.best_step,
            "steps": progress.ended or step,
        }
        write_json(self.directory / "result.json", {"run": self.run.to_dict(), **values})
        return load_result(self.directory)


def read_manifest(directory: pathlib.Path) -> dict[str, Any]:
    """What a run recorded of its data and model; empty before it began. Raises UserError."""
    path = directory / "manifest.json"
    try:
        return parse_object(path.read_text(encoding="utf-8"), f"{path} is damaged")
    except FileNotFoundError:
        return {}


def check_finished(run: Run, directory: pathlib.Path, t5: FrozenT5 | None = None) -> None:
    """Raise UserError if a finished run's base (where it is at hand) or data have changed since.

    Data that are gone have not changed.
    """
    recorded = read_manifest(directory)
    if t5 is not None and recorded:
        _check_base(directory, recorded, t5)
    for facts in recorded.get("data", {}).values():
        with contextlib.suppress(UserError):  # a result stands though its data are gone
            now = run.get_task().source.describe(facts["split"])
            if any(facts.get(key) != value for key, value in now.items()):
                break
    else:
        return
    raise _changed(directory, f"the data of split {facts['split']}")


def _check_base(directory: pathlib.Path, manifest: dict[str, Any], t5: FrozenT5) -> None:
    base = base_metadata(t5)
    for fact in ("base_fingerprint", "tokenizer_hash"):
        if manifest["model"].get(fact) != base[fact]:
            raise _changed(directory, "the base model")


def _changed(directory: pathlib.Path, what: str) -> UserError:
    return UserError(
        f"{directory}: {what} has changed since this run began: delete the directory, or choose "
        "another output folder"
    )


def _mixture(task: Task, train: TrainingData, run: Run) -> np.ndarray | None:
    """The example numbers of all batches of a mixture, one after the other."""
    if not task.weights:
        return None
    chosen = draw(train.task_sizes, task.weights, run.seed, run.steps * run.batch_size)
    first = np.cumsum([0, *train.task_sizes])
    return first[chosen[:, 0]] + chosen[:, 1]


def _text_format(run: Run) -> str:
    """How rows became text: the user's template, or T5's format with or without the task name."""
    if run.user_task is not None:
        return run.user_task.template
    return "T5 with the task name" if run.task_name_in_text else "T5 without the task name"


def initial_prompt(run: Run, task: Task, t5: FrozenT5) -> Prompt:
    """The prompt that a run starts from."""
    config: dict[str, Any] = dataclasses.asdict(run.prompt)
    if shots := config.pop("shots"):
        config["text"] = " ".join([config["text"] or "", *shown_examples(run, task, shots)]).strip()
    return init_prompt(t5, **config, seed=run.seed, labels=task.prompt_words)


def shown_examples(run: Run, task: Task, count: int) -> list[str]:
    """Training examples as texts, input and target, in the run's template: few-shot design.

    The first ones of a seeded order; labels take turns, so that each is shown as often.
    """
    examples = training_examples(task, run)
    order = [examples[n] for n in permutation(run.seed, 0, len(examples))]
    rank: dict[str, int] = defaultdict(int)  # how many of its label came before
    turns = []
    for example in order:
        label = example.target if task.labels else ""
        turns.append((rank[label], example))
        rank[label] += 1
    chosen = [example for _, example in sorted(turns, key=lambda turn: turn[0])[:count]]
    template = (run.prompt.template or "{input}").replace("{prompt}", "")
    inputs = [e.input.replace(PROMPT_MARK, "") for e in chosen]
    texts = [template.replace("{input}", text).strip() for text in inputs]
    return [f"{text} {e.target}" for text, e in zip(texts, chosen, strict=True)]
