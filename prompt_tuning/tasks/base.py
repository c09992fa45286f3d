"""What a task is: a source of rows, a text format, legal outputs and metrics.

A *row* is one record of a data set as tensorflow-datasets gives it (plain Python values, labels by
name, None where a split has none), whichever source it came from. An *example* is one input text
with the text the model should write.
"""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args, get_origin

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import PROMPT_MARK, is_text

Row = Mapping[str, Any]
# The target of a row whose label is withheld (test splits), as in T5.
UNLABELLED = "<unk>"


@dataclasses.dataclass(frozen=True)
class Example:
    """One formatted example.

    `id` is unique within its split; `answers` are all accepted texts where there can be several;
    `group` names what is scored together (MultiRC's question, ReCoRD's query, AX-g's pair);
    `label` is the class index where the target text does not tell it (WSC). `withheld`: there is a
    target all the same, but no label (WSC's test split).
    """

    id: str
    input: str
    target: str
    answers: tuple[str, ...] = ()
    group: str = ""
    label: int | None = None
    withheld: bool = False

    @property
    def labelled(self) -> bool:
        return self.target != UNLABELLED and not self.withheld


@dataclasses.dataclass(frozen=True)
class Scores:
    """Percentages; `primary` selects the best step, `invalid` is the share of illegal outputs."""

    metrics: dict[str, float]
    primary: float
    invalid: float
    count: int


class Source(Protocol):
    """Where rows come from. `rows` raises UserError if the split or its data are missing."""

    @property
    def splits(self) -> tuple[str, ...]: ...

    def rows(self, split: str) -> list[Row]: ...

    def describe(self, split: str) -> dict[str, Any]: ...


Measure = Callable[[Sequence[Example], Sequence[str], tuple[str, ...]], dict[str, float]]


def as_it_is(text: str) -> str:
    return text


def not_empty(text: str) -> bool:
    return bool(text.strip())


@dataclasses.dataclass(frozen=True)
class Task:
    """A named task.

    labels: the legal target strings in class order; empty for free text.
    prompt_words: the strings of a class-label initialisation (paper section 3.2, footnote 7).
    prefix: T5's name of the task, written before the text only where `name_in_text` is set
        (the paper's prompts are trained without it).
    select: the metrics whose mean is `Scores.primary`; empty means all.
    legal: whether an output of a free-text task is valid; unused where there are labels.
    marked: the inputs hold PROMPT_MARK where the soft prompt goes.
    members, weights: of a mixture, its tasks and how often each is drawn (`mixture.draw`).
    """

    name: str
    source: Source
    format: Callable[[Row, bool], list[Example]]
    measure: Measure
    labels: tuple[str, ...] = ()
    prompt_words: tuple[str, ...] = ()
    prefix: str = ""
    name_in_text: bool = False
    select: tuple[str, ...] = ()
    postprocess: Callable[[str], str] = as_it_is
    legal: Callable[[str], bool] = not_empty
    marked: bool = False
    members: "tuple[Task, ...]" = ()
    weights: tuple[float, ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        return self.source.splits

    def load(self, split: str, training: bool | None = None) -> list[Example]:
        """The examples of a split, sorted by id, so that every source gives the same order.

        `training` selects the training form where the paper's differs (ReCoRD: one example per
        gold answer; WSC: true referents only); by default only the split "train" has it.
        """
        training = split == "train" if training is None else training
        before = f"{self.prefix} " if self.name_in_text and self.prefix else ""
        examples = []
        for number, row in enumerate(self.source.rows(split), start=1):
            try:
                formatted = self.examples_of(row, training)
            except KeyError as error:
                present = ", ".join(map(str, row)) or "no fields"
                raise UserError(
                    f"{self.name}, split {split}, row {number}: the field {error} is missing; "
                    f"the row has: {present}"
                ) from error
            except (ValueError, TypeError) as error:
                raise UserError(f"{self.name}, split {split}, row {number}: {error}") from error
            for example in formatted:
                text = before + example.input
                if not self.marked:
                    text = text.replace(PROMPT_MARK, "")
                if not all(map(is_text, (text, example.target, *example.answers))):
                    raise UserError(
                        f"{self.name}, split {split}, row {number}: the text holds half of a "
                        "surrogate pair, which is no text"
                    )
                examples.append(dataclasses.replace(example, input=text))
        if not examples:
            raise UserError(f"{self.name}: the split {split} has no examples")
        return sorted(examples, key=lambda example: natural_key(example.id))

    def first(self, examples: Sequence[Example], count: int | None) -> list[Example]:
        """The first so many, of a mixture of each of its tasks; None: all."""
        if count is None or not self.members:
            return list(examples[:count])
        seen: Counter[str] = Counter()
        chosen = []
        for example in examples:
            number = example.id.partition("/")[0]
            seen[number] += 1
            if seen[number] <= count:
                chosen.append(example)
        return chosen

    def examples_of(self, row: Row, training: bool) -> list[Example]:
        """The examples of a row. Raises ValueError for a label that is none of the task's."""
        examples = self.format(row, training)
        for example in examples:
            if self.labels and example.target not in (*self.labels, UNLABELLED):
                known = ", ".join(map(repr, self.labels))
                raise ValueError(f"the label {example.target!r} is none of {known}")
        return examples

    def of(self, example: Example) -> "Task":
        """The task of an example: of a mixture, the member that it is from."""
        return self.members[int(example.id.partition("/")[0])] if self.members else self

    def is_legal(self, output: str) -> bool:
        """Whether a model's output is a legal answer to this task."""
        text = self.postprocess(output)
        return text in self.labels if self.labels else self.legal(text)

    def score(self, examples: Sequence[Example], predictions: Sequence[str]) -> Scores:
        """Scores of the model's output texts, one per example, in any common order."""
        if len(examples) != len(predictions):
            raise ValueError(f"{len(examples)} examples but {len(predictions)} predictions")
        if not examples:
            raise UserError(f"{self.name}: there are no examples to score")
        if not all(example.labelled for example in examples):
            raise UserError(
                f"{self.name}: this split has no labels, so it cannot be scored; write the "
                "predictions (or a submission) instead"
            )
        outputs = [self.postprocess(p) for p in predictions]
        metrics = self.measure(examples, outputs, self.labels)
        chosen = [metrics[name] for name in self.select or metrics]
        pairs = zip(examples, predictions, strict=True)
        wrong = sum(not self.of(example).is_legal(text) for example, text in pairs)
        return Scores(
            metrics=metrics,
            primary=sum(chosen) / len(chosen),
            invalid=100.0 * wrong / len(examples),
            count=len(examples),
        )


def natural_key(identity: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts "2" before "10" and "1/9" before "1/10"."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in identity.split("/")
    )


def check_choices(config: Any) -> None:
    """Raise UserError unless every field of a dataclass that is a Literal has one of its values."""
    for field in dataclasses.fields(config):
        options = [field.type, *get_args(field.type)]
        choices = [c for o in options if get_origin(o) is Literal for c in get_args(o)]
        value = getattr(config, field.name)
        if choices and value is not None and value not in choices:
            raise unknown(field.name, str(value), map(str, choices))


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a misspelt name, with the closest known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
    return UserError(f"unknown {what} {name!r}; {hint}")


def lengths(
    examples: Sequence[Example], encode: Callable[[str], Sequence[int]]
) -> list[tuple[int, int]]:
    """(input, target) token counts of each example, without the end-of-sequence token."""
    return [(len(encode(e.input)), len(encode(e.target))) for e in examples]
