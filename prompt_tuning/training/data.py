"""The tokenised splits that runs are trained and scored on."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import report_too_long, target_start
from prompt_tuning.evaluation.rows import TextRow, encode_inputs, encode_targets
from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.tasks.base import Example, Task
from prompt_tuning.tasks.data_tools import manifest
from prompt_tuning.training.batches import example_numbers
from prompt_tuning.training.run import Run

log = logging.getLogger(__name__)


def _order_hash(examples: Sequence[Example]) -> str:
    """Of the texts as they stand: a batch names examples by their numbers."""
    texts = json.dumps([(e.input, e.target) for e in examples])
    return hashlib.sha256(texts.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Tokenised examples of one run."""

    rows: list[TextRow]
    targets: list[list[int]]
    task_sizes: tuple[int, ...] = ()  # of a mixture, whose tasks stand one behind the other


@dataclasses.dataclass(frozen=True)
class DevData:
    """Examples with their tokenised inputs."""

    examples: list[Example]
    rows: list[TextRow]


class SharedData:
    """Tokenised splits for the runs of a population; runs that read the same data share it."""

    def __init__(self, t5: FrozenT5):
        self.t5 = t5
        self._kept: dict[str, tuple[TrainingData, DevData, dict[str, Any]]] = {}

    def load(self, task: Task, run: Run) -> tuple[TrainingData, DevData, dict[str, Any]]:
        """Both splits, and notes for the manifest: source, rows, hashes, truncation."""
        prompt = run.prompt if run.method == "prompt" else PromptConfig()
        key = repr((
            run.task, run.data, run.user_task, run.task_name_in_text, run.sentinel,
            run.train_split, run.dev_split, run.train_examples and (run.train_examples, run.seed),
            run.dev_examples, run.max_input_length, run.max_target_length, prompt.position,
            prompt.template,
        ))  # fmt: skip
        if key not in self._kept:
            self._kept[key] = self._read(task, run, prompt.position, prompt.template)
        return self._kept[key]

    def _read(
        self, task: Task, run: Run, position: str, template: str | None
    ) -> tuple[TrainingData, DevData, dict[str, Any]]:
        train = training_examples(task, run)
        dev = task.load(run.dev_split, training=False)
        for split, examples in ((run.train_split, train), (run.dev_split, dev)):
            if bare := sum(not example.labelled for example in examples):
                raise UserError(
                    f"{task.name}, split {split}: {bare} of {len(examples)} rows have no label; "
                    "name a split whose rows all have one"
                )
        dev = task.first(dev, run.dev_examples)
        rows, notes = [], {}
        for part, split, examples in (
            ("train", run.train_split, train),
            ("dev", run.dev_split, dev),
        ):
            inputs = encode_inputs(
                [e.input for e in examples],
                self.t5.tokenizer.encode_batch,
                max_length=run.max_input_length,
                eos_id=self.t5.config.eos_id,
                position=position,
                template=template,
            )
            self._report(task, split, "inputs", inputs.truncated, len(examples))
            rows.append(inputs.rows)
            notes[part] = {
                **manifest(task, split, examples),
                "truncated_inputs": inputs.truncated,
                "order_hash": _order_hash(examples),
            }
        start = target_start(self.t5, run.sentinel)
        name = f"{task.name}/{run.dev_split}"
        report_too_long(task, dev, self.t5, run.max_target_length, start, name)
        targets, cut = encode_targets(
            [e.target for e in train],
            self.t5.tokenizer.encode_batch,
            max_length=run.max_target_length,
            eos_id=self.t5.config.eos_id,
            start=start,
        )
        self._report(task, run.train_split, "targets", cut, len(train))
        notes["train"]["truncated_targets"] = cut
        numbers = [int(e.id.partition("/")[0]) for e in train] if task.weights else []
        sizes = tuple(np.bincount(numbers, minlength=len(task.weights)).tolist())
        return TrainingData(rows[0], targets, sizes), DevData(dev, rows[1]), notes

    def _report(self, task: Task, split: str, what: str, cut: int, count: int) -> None:
        if cut:
            log.warning(
                "%s, split %s: %d of %d %s are longer than max_%s_length and lose their end",
                task.name, split, cut, count, what, what.removesuffix("s"),
            )  # fmt: skip


def training_examples(task: Task, run: Run) -> list[Example]:
    """What a run is trained on: the split, or `train_examples` of it, chosen by the seed."""
    examples = task.load(run.train_split, training=True)
    if run.train_examples is None:
        return examples
    count = min(run.train_examples, len(examples))
    return [examples[n] for n in sorted(example_numbers(run.seed, 0, count, len(examples)))]
