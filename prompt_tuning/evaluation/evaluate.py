"""`evaluate`: a split of a task through one prompt (or none), answered and scored."""

import dataclasses
import functools
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Literal, get_args

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.jobs import Job, Method, run_jobs
from prompt_tuning.evaluation.rows import encode_inputs
from prompt_tuning.prompts.files import check_writable, write_json, write_jsonl
from prompt_tuning.prompts.prompt import Prompt, base_metadata, check_base
from prompt_tuning.prompts.table import virtual_ids
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.tokenizer import UNK
from prompt_tuning.tasks.base import Example, Scores, Task
from prompt_tuning.tasks.data_tools import manifest

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The model's output for every example of a split."""

    task: Task
    examples: list[Example]
    predictions: list[str]
    truncated: int  # inputs that were longer than the limit

    @property
    def labelled(self) -> bool:
        """Whether the split has labels (test splits have none)."""
        return all(example.labelled for example in self.examples)

    @functools.cached_property
    def scores(self) -> Scores:
        """The task's metrics. Raises UserError without labels."""
        return self.task.score(self.examples, self.predictions)


def evaluate(
    t5: FrozenT5,
    task: Task,
    prompt: Prompt | None = None,
    *,
    split: str = "validation",
    method: Literal["generate", "score"] = "generate",
    max_input_length: int = 512,
    max_target_length: int = 16,
    beams: int = 1,
    limit: int | None = None,
    sentinel: bool = False,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Evaluation:
    """Answer a split of a task and score the answers.

    method: "generate" writes freely and counts exact matches (the paper, section 3); "score" takes
        the label with the highest log-likelihood.
    max_input_length, max_target_length: tokens, EOS included, the prompt excluded.
    limit: only the first so many examples, of a mixture of each of its tasks.
    sentinel: outputs begin with <extra_id_0>, as after training with `Run.sentinel`, and are scored
        without it; prompts trained so need not be told.
    out: a folder for predictions.jsonl and scores.json.
    force: use a prompt that was made for another base.
    Raises UserError for a prompt of another base, an unknown split, a task without labels to score,
    a sentinel that the vocabulary lacks, and an `out` that cannot be written (found out before the
    work begins).
    """
    check_sizes(max_input_length, max_target_length, limit, beams)
    if prompt is not None:
        check_base(prompt, t5, force)
        check_place(task, prompt.position)
    sentinel = sentinel or (prompt is not None and prompt.sentinel)
    start = target_start(t5, sentinel)
    labels = label_ids(task, t5, method, max_target_length, start)
    if out is not None:
        check_writable(pathlib.Path(out))
    examples = task.first(task.load(split, training=False), limit)
    inputs = encode_inputs(
        [example.input for example in examples],
        t5.tokenizer.encode_batch,
        max_length=max_input_length,
        eos_id=t5.config.eos_id,
        position=prompt.position if prompt else "prefix",
        template=prompt.template if prompt else None,
    )
    report_truncated(inputs.truncated, len(examples), max_input_length, f"{task.name}/{split}")
    report_too_long(task, examples, t5, max_target_length, start, f"{task.name}/{split}")
    virtual = virtual_ids(t5.config.vocab_size, prompt.length) if prompt else ()
    rows = [row.with_prompt(virtual) for row in inputs.rows]
    job = Job(rows, method, max_target_length, task.labels, labels, start)
    predictions = run_jobs(t5, [job], prompt and prompt.array[None], beams)[0]
    result = Evaluation(task, examples, predictions, inputs.truncated)
    scores = dataclasses.asdict(result.scores) if result.labelled else None
    if out is not None:
        folder = pathlib.Path(out)
        write_predictions(folder / "predictions.jsonl", examples, predictions)
        facts = {
            "model": {"name": t5.name, **base_metadata(t5)},
            "prompt": prompt and {"length": prompt.length, **prompt.metadata},
            "data": manifest(task, split, examples, training=False),
            "method": method,
            "beams": beams,
            "max_input_length": max_input_length,
            "max_target_length": max_target_length,
            "sentinel": sentinel,
            "truncated_inputs": inputs.truncated,
            "scores": scores,
        }
        write_json(folder / "scores.json", facts)
    return result


def check_sizes(
    max_input_length: int, max_target_length: int, limit: int | None, beams: int = 1
) -> None:
    """Raise UserError for a number that is too small."""
    if beams < 1 or max_input_length < 2 or max_target_length < 2:
        raise UserError("beams must be at least 1, max_input_length and max_target_length 2")
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1, not {limit}")


def target_start(t5: FrozenT5, sentinel: bool) -> tuple[int, ...]:
    """The ids before every target: <extra_id_0>, or none. UserError if the vocabulary lacks it."""
    try:
        return (t5.tokenizer.sentinel(0),) if sentinel else ()
    except UserError as error:
        raise UserError(f"targets cannot begin with <extra_id_0> (sentinel): {error}") from error


def label_ids(
    task: Task, t5: FrozenT5, method: Method, max_target_length: int, start: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """The tokens of every label of a task, `start` and EOS included.

    Raises UserError for a label that no output can reach and for a task that has none to score.
    """
    if method not in get_args(Method):
        raise UserError(f"unknown method {method!r}: choose from {get_args(Method)}")
    for member in task.members:
        label_ids(member, t5, "generate", max_target_length, start)
    if method == "score" and not task.labels:
        raise UserError(f"{task.name} has no labels to score: use the method 'generate'")
    found = []
    for label in task.labels:
        ids = (*start, *t5.tokenizer.encode(label), t5.config.eos_id)
        if len(ids) > max_target_length:
            raise UserError(
                f"the label {label!r} of {task.name} has {len(ids)} tokens with EOS"
                f"{' and <extra_id_0>' * bool(start)}: raise max_target_length, which is "
                f"{max_target_length}"
            )
        read = t5.tokenizer.decode(t5.tokenizer.encode(label))
        if method == "generate" and task.postprocess(read) != label:
            raise UserError(
                f"the label {label!r} of {task.name} can be no output: the tokenizer makes it "
                f"{read!r}. Choose other words for it"
            )
        found.append(ids)
    check_distinct(task.labels, found)
    return tuple(found)


def check_distinct(labels: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
    """Raise UserError if two labels are the same tokens: none would be likelier than the other."""
    first: dict[tuple[int, ...], str] = {}
    for label, tokens in zip(labels, map(tuple, ids), strict=True):
        other = first.setdefault(tokens, label)
        if other != label:
            raise UserError(
                f"the labels {other!r} and {label!r} are the same to the tokenizer. Choose other "
                "words for them"
            )


def check_place(task: Task, position: str) -> None:
    """Raise UserError if the task's own template says where a prompt goes and this one differs."""
    if task.marked and position != "template":
        raise UserError(
            f"the template of {task.name} says where the prompt goes ({{prompt}}): the prompt's "
            f"position must be 'template', not {position!r}"
        )


def write_predictions(
    path: pathlib.Path, examples: Sequence[Example], predictions: Sequence[str]
) -> None:
    """One line an example: id, input, target, prediction."""
    pairs = zip(examples, predictions, strict=True)
    write_jsonl(
        path,
        [{"id": e.id, "input": e.input, "target": e.target, "prediction": p} for e, p in pairs],
    )


def report_truncated(truncated: int, count: int, limit: int, what: str) -> None:
    """Warn of inputs that were longer than the limit."""
    if truncated:
        log.warning(
            "%s: %d of %d inputs are longer than %d tokens and lose their end",
            what, truncated, count, limit,
        )  # fmt: skip


def report_too_long(
    task: Task,
    examples: Sequence[Example],
    t5: FrozenT5,
    limit: int,
    start: tuple[int, ...],
    what: str,
) -> None:
    """Warn of examples of free text of which no answer can be written within the limit."""
    free = [e for e in examples if e.labelled and not task.of(e).labels]
    answers = [(n, text) for n, e in enumerate(free) for text in e.answers or (e.target,)]
    ids = t5.tokenizer.encode_batch([text for _, text in answers])
    lengths: dict[int, int] = {}  # of each example's shortest answer without unknown pieces
    for (n, _), x in zip(answers, ids, strict=True):
        if UNK not in x:
            length = len(start) + len(x) + 1
            lengths[n] = min(length, lengths.get(n, length))
    reasons = {
        "that the vocabulary can write": len(free) - len(lengths),
        f"of at most {limit} tokens: raise max_target_length": sum(
            length > limit for length in lengths.values()
        ),
    }
    for reason, count in reasons.items():
        if count:
            log.warning("%s: %d of %d examples have no answer %s", what, count, len(free), reason)
