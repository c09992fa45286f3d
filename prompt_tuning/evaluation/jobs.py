"""Outputs of many prompts on their own examples, in shared batches."""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from prompt_tuning.evaluation.inference import Places, generate_ids, score_label_ids
from prompt_tuning.t5.load import FrozenT5

Method = Literal["generate", "score"]


@dataclasses.dataclass(frozen=True)
class Job:
    """Encoder rows (prompts in place) and how they become texts.

    "generate": greedy (or beam) text of at most `max_length` tokens, EOS included, without the ids
    `start` if it begins with them. "score": the label with the highest log-likelihood; `label_ids`
    hold `start` already.
    """

    rows: Sequence[Sequence[int]]
    evaluation: Method = "generate"
    max_length: int = 16
    labels: tuple[str, ...] = ()
    label_ids: tuple[tuple[int, ...], ...] = ()
    start: tuple[int, ...] = ()

    @property
    def _shared(self) -> tuple[Any, ...]:
        """Jobs that agree in this can share a batch."""
        if self.evaluation == "score":
            return self.evaluation, self.labels, self.label_ids
        return self.evaluation, self.max_length


class Answer(NamedTuple):
    """The output text of a row and, for "score", the log-likelihood of each label."""

    text: str
    scores: tuple[float, ...] = ()


def run_jobs(
    t5: FrozenT5,
    jobs: Sequence[Job],
    prompts_RPD: Any = None,
    beams: int = 1,
    places: Places | None = None,
) -> list[list[str]]:
    """The output texts of every job, in order."""
    answers = answer_jobs(t5, jobs, prompts_RPD, beams, places)
    return [[answer.text for answer in job] for job in answers]


def answer_jobs(
    t5: FrozenT5,
    jobs: Sequence[Job],
    prompts_RPD: Any = None,
    beams: int = 1,
    places: Places | None = None,
) -> list[list[Answer]]:
    """The answers of every job, in order; all jobs of one kind go through the same batches.

    places: counts the encoder's ids, `used`, and `all` with padding.
    """
    shared: dict[str, Any] = {"prompts_RPD": prompts_RPD, "places": places}
    kinds: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, job in enumerate(jobs):
        kinds[job._shared].append(n)
    answers: list[list[Answer]] = [[] for _ in jobs]
    for numbers in kinds.values():
        job = jobs[numbers[0]]
        rows = [row for n in numbers for row in jobs[n].rows]
        if job.evaluation == "score":
            scores = score_label_ids(t5, rows, job.label_ids, **shared)
            best = np.argmax(scores, axis=1)
            found = [
                Answer(job.labels[b], tuple(row.tolist()))
                for b, row in zip(best, scores, strict=True)
            ]
        else:
            ids = generate_ids(t5, rows, job.max_length, beams=beams, **shared)
            starts = [jobs[n].start for n in numbers for _ in jobs[n].rows]
            texts = [_without(row.tolist(), start) for row, start in zip(ids, starts, strict=True)]
            found = [Answer(t5.tokenizer.decode(text)) for text in texts]
        rest = iter(found)
        for n in numbers:
            answers[n] = list(itertools.islice(rest, len(jobs[n].rows)))
    return answers


def _without(ids: list[int], start: tuple[int, ...]) -> list[int]:
    return ids[len(start) :] if tuple(ids[: len(start)]) == start else ids
