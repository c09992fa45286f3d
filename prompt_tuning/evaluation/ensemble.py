"""Prompt ensembling (paper section 6): N prompts of one task, one frozen model, one vote."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import (
    Evaluation,
    check_place,
    check_sizes,
    label_ids,
    report_too_long,
    report_truncated,
    target_start,
)
from prompt_tuning.evaluation.jobs import Job, run_jobs
from prompt_tuning.evaluation.rows import encode_inputs
from prompt_tuning.prompts.prompt import Prompt, check_base
from prompt_tuning.prompts.table import stack_prompts, virtual_ids
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """The answers of each prompt alone, and those of the majority."""

    single: tuple[Evaluation, ...]
    vote: Evaluation

    @property
    def average(self) -> float:
        """Mean of the single prompts' scores, per cent."""
        return sum(e.scores.primary for e in self.single) / len(self.single)

    @property
    def best(self) -> float:
        """The highest of the single prompts' scores, per cent."""
        return max(e.scores.primary for e in self.single)


def ensemble(
    t5: FrozenT5,
    task: Task,
    prompts: Sequence[Prompt],
    *,
    split: str = "validation",
    method: Literal["generate", "score"] = "generate",
    max_input_length: int = 512,
    max_target_length: int = 16,
    limit: int | None = None,
    force: bool = False,
) -> Ensemble:
    """Answer every example with N prompts in the same batches and vote (paper Table 3: N = 5).

    The arguments are those of `evaluate`. Raises UserError for no prompts, for prompts of another
    base (unless `force`) and for a split without labels.
    """
    check_sizes(max_input_length, max_target_length, limit)
    if not prompts:
        raise UserError("an ensemble needs prompts")
    for prompt in prompts:
        check_base(prompt, t5, force)
        check_place(task, prompt.position)
    starts = [target_start(t5, prompt.sentinel) for prompt in prompts]
    labels = [label_ids(task, t5, method, max_target_length, start) for start in starts]
    examples = task.first(task.load(split, training=False), limit)
    longest = max(prompt.length for prompt in prompts)
    jobs, truncated = [], 0
    for n, prompt in enumerate(prompts):
        inputs = encode_inputs(
            [example.input for example in examples],
            t5.tokenizer.encode_batch,
            max_length=max_input_length,
            eos_id=t5.config.eos_id,
            position=prompt.position,
            template=prompt.template,
        )
        truncated = max(truncated, inputs.truncated)
        virtual = virtual_ids(t5.config.vocab_size, prompt.length, n, longest)
        rows = [row.with_prompt(virtual) for row in inputs.rows]
        jobs.append(Job(rows, method, max_target_length, task.labels, labels[n], starts[n]))
    name = f"{task.name}/{split}"
    report_truncated(truncated, len(examples), max_input_length, name)
    report_too_long(task, examples, t5, max_target_length, max(starts, key=len), name)
    outputs = run_jobs(t5, jobs, stack_prompts([prompt.array for prompt in prompts]))
    return Ensemble(
        tuple(Evaluation(task, examples, texts, truncated) for texts in outputs),
        Evaluation(task, examples, majority(outputs), truncated),
    )


def majority(outputs: Sequence[Sequence[str]]) -> list[str]:
    """Of N lists of answers, the most frequent for each example; of equals the earliest voter's."""
    return [Counter(votes).most_common(1)[0][0] for votes in zip(*outputs, strict=True)]
