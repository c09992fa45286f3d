"""Outputs of many prompts on their own examples, in shared batches."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from prompt_tuning.evaluate.inference import generate_ids, score_label_ids
from prompt_tuning.t5.load import FrozenT5

Evaluation = Literal["generate", "score"]


@dataclasses.dataclass(frozen=True)
class Job:
    """Encoder rows (prompts in place) and how they become texts.

    "generate": greedy (or beam) text of at most `max_length` tokens, EOS included. "score": the
    label with the highest log-likelihood.
    """

    rows: Sequence[Sequence[int]]
    evaluation: Evaluation = "generate"
    max_length: int = 16
    labels: tuple[str, ...] = ()
    label_ids: tuple[tuple[int, ...], ...] = ()

    @property
    def _shared(self) -> tuple[Any, ...]:
        """Jobs that agree in this can share a batch."""
        if self.evaluation == "score":
            return self.evaluation, self.labels, self.label_ids
        return self.evaluation, self.max_length


def run_jobs(
    t5: FrozenT5, jobs: Sequence[Job], prompts_RPD: Any = None, beams: int = 1
) -> list[list[str]]:
    """The output texts of every job, in order; all jobs of one kind go through the same batches."""
    kinds: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, job in enumerate(jobs):
        kinds[job._shared].append(n)
    outputs: list[list[str]] = [[] for _ in jobs]
    for numbers in kinds.values():
        job = jobs[numbers[0]]
        rows = [row for n in numbers for row in jobs[n].rows]
        if job.evaluation == "score":
            scores = score_label_ids(t5, rows, job.label_ids, prompts_RPD=prompts_RPD)
            texts = [job.labels[best] for best in np.argmax(scores, axis=1)]
        else:
            ids = generate_ids(t5, rows, job.max_length, prompts_RPD=prompts_RPD, beams=beams)
            texts = [t5.tokenizer.decode(row.tolist()) for row in ids]
        for n in numbers:
            outputs[n], texts = texts[: len(jobs[n].rows)], texts[len(jobs[n].rows) :]
    return outputs
