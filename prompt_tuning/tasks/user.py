"""Tasks of the user's own: files of rows, a template for the input, a label or target field."""

import csv
import dataclasses
import functools
import hashlib
import io
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import PROMPT_MARK, is_text
from prompt_tuning.tasks import scoring
from prompt_tuning.tasks.base import UNLABELLED, Example, Row, Task
from prompt_tuning.tasks.sources.files import (
    parse_json,
    read_jsonl,
    read_text,
)

Metric = Literal["accuracy", "f1", "mean_f1", "matthews", "squad"]
_MEASURES = {
    "accuracy": scoring.accuracy,
    "f1": scoring.f1_and_accuracy,
    "mean_f1": scoring.mean_f1_and_accuracy,
    "matthews": scoring.matthews,
    "squad": scoring.question_answering,
}
# A template as (literal text, field) pairs; the field None ends it, PROMPT_MARK is the soft prompt.
Parts = tuple[tuple[str, str | None], ...]


def user_task(
    name: str,
    files: Mapping[str, str] | Sequence[tuple[str, str]],
    template: str,
    *,
    label_field: str | None = None,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    target_field: str | None = None,
    metric: Metric | None = None,
    prompt_words: tuple[str, ...] = (),
) -> Task:
    """A task read from .jsonl, .json, .csv or .tsv files.

    files: split name -> path. A .json file holds a list, or an object, of row objects; a .csv file
        is quoted as spreadsheets do, a .tsv file is not quoted.
    template: the input text, with a row's fields in braces: "premise: {premise}". "{prompt}", at
        most once, is where the soft prompt goes; "{{" is a brace.
    label_field: the field that holds the class, with `labels` the class names in order or, as a
        mapping, what each value of the field stands for ({"0": "negative", "1": "positive"});
        without `labels` they are the sorted values of the first split. Or:
    target_field: the field that holds the text to write.
    metric: "accuracy", "f1" (of the second label, with accuracy), "mean_f1" (over all classes, with
        accuracy), "matthews", or "squad" (exact match and word F1; the default of free text).

    A row of a split named "test" may lack its label (in a table its cell is empty). Raises
    UserError for any defect of template or labels at once, and for defects of the data when a split
    is loaded.
    """
    if (label_field is None) == (target_field is None):
        raise UserError(f"{name}: name either a label field or a target field")
    if target_field is not None and labels is not None:
        raise UserError(f"{name}: labels go with a label field, not with a target field")
    parts = parse_template(template)
    source = UserFiles(name, _paths(name, files))
    meaning: Mapping[str, str] = {}
    if label_field is not None:
        if labels is None:
            labels = _values(source, label_field)
        meaning = labels if isinstance(labels, Mapping) else {label: label for label in labels}
        if not all(isinstance(text, str) for pair in meaning.items() for text in pair):
            raise UserError(f'{name}: labels and the values they stand for are text: 0 is "0"')
    classes = tuple(dict.fromkeys(meaning.values()))
    if label_field is not None and len(classes) < 2:
        raise UserError(f"{name}: a label field needs two labels or more, found {len(classes)}")
    if not all(label.strip() for label in classes):
        raise UserError(f"{name}: a label is empty; every class needs a text to write")
    if metric is None:
        metric = "accuracy" if classes else "squad"
    if metric not in _MEASURES:
        raise UserError(f"{name}: unknown metric {metric!r}; known: {', '.join(_MEASURES)}")
    if metric not in ("accuracy", "squad") and not classes:
        raise UserError(f"{name}: the metric {metric!r} needs a label field")
    if metric == "f1" and len(classes) != 2:
        raise UserError(f"{name}: the metric 'f1' needs two labels; use 'mean_f1'")
    return Task(
        name=name,
        source=source,
        format=functools.partial(
            _format, parts=parts, target=label_field or target_field or "", meaning=meaning
        ),
        measure=_MEASURES[metric],
        labels=classes,
        prompt_words=prompt_words or classes,
        marked=any(field == PROMPT_MARK for _, field in parts),
    )


def parse_template(template: str) -> Parts:
    """The pieces of a template; UserError if it is malformed or names the prompt twice."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UserError(
            f"the template {template!r} is malformed: {error}; write a literal brace twice"
        ) from error
    parts: list[tuple[str, str | None]] = []
    for text, field, form, conversion in pieces:
        if PROMPT_MARK in text:
            raise UserError("the template holds the reserved character U+E000; write {prompt}")
        if form or conversion:
            raise UserError(
                f"the template field {field!r} must be a plain name, without ':' or '!'"
            )
        if field == "":
            raise UserError(f"the template {template!r} has an empty field {{}}; name it")
        parts.append((text, PROMPT_MARK if field == "prompt" else field))
    if sum(field == PROMPT_MARK for _, field in parts) > 1:
        raise UserError("the template has {prompt} more than once; a soft prompt has one place")
    if not any(field not in (None, PROMPT_MARK) for _, field in parts):
        raise UserError(f"the template {template!r} names no field of the data")
    return tuple(parts)


@dataclasses.dataclass(frozen=True)
class UserFiles:
    """The source of a user task. A row is {"number", "split", "fields"}."""

    name: str
    paths: tuple[tuple[str, Path], ...]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split for split, _ in self.paths)

    def path(self, split: str) -> Path:
        for known, path in self.paths:
            if known == split:
                return path
        raise UserError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")

    def rows(self, split: str) -> list[Row]:
        records = enumerate(_records(self.path(split)), start=1)
        return [{"number": n, "split": split, "fields": fields} for n, fields in records]

    def describe(self, split: str) -> dict[str, Any]:
        path = self.path(split)
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        return {"source": "user", "version": None, "files": {path.name: digest}}


def _paths(
    name: str, files: Mapping[str, str] | Sequence[tuple[str, str]]
) -> tuple[tuple[str, Path], ...]:
    pairs = list(files.items()) if isinstance(files, Mapping) else list(files)
    if not pairs:
        raise UserError(f"{name}: there is no data file")
    for split, _ in pairs:
        if sum(split == other for other, _ in pairs) > 1:
            raise UserError(f"{name}: the split {split!r} is given more than once")
    return tuple((split, Path(path)) for split, path in pairs)


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "jsonl":
        yield from read_jsonl(path)
    elif kind == "json":
        yield from _json_records(path)
    elif kind == "csv":
        yield from _cells(path)
    elif kind == "tsv":  # as GLUE's: without quoting
        yield from _cells(path, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        raise UserError(f"{path}: unknown kind of file; use .jsonl, .json, .csv or .tsv")


def _json_records(path: Path) -> Iterator[Mapping[str, Any]]:
    value = parse_json(read_text(path), str(path))
    rows = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise UserError(f"{path}: expected a list or an object of rows")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UserError(f"{path}, row {number}: expected a JSON object")
        yield row


def _cells(path: Path, **form: Any) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True, **form)
    try:
        twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
        if twice:
            raise UserError(f"{path}: more than one column is named {twice[0]!r}")
        for row in reader:
            if None in row:
                raise UserError(f"{path}, line {reader.line_num}: more cells than columns")
            yield {name: cell for name, cell in row.items() if cell is not None}
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from error


def _text(fields: Mapping[str, Any], field: str) -> str:
    """A field's value as text, without the prompt's mark."""
    if fields.get(field) is None:
        present = ", ".join(map(str, fields)) or "no fields"
        raise UserError(f"the field {field!r} is missing; the row has: {present}")
    value = fields[field]
    if not isinstance(value, str | int | float):
        raise UserError(f"the field {field!r} holds a {type(value).__name__}, not text")
    text = str(value).replace(PROMPT_MARK, "")
    if not is_text(text):
        raise UserError(f"the field {field!r} holds half of a surrogate pair, which is no text")
    return text


def _format(
    row: Row, training: bool, *, parts: Parts, target: str, meaning: Mapping[str, str]
) -> list[Example]:
    fields = row["fields"]
    text = "".join(literal + _filled(fields, field) for literal, field in parts)
    identity = str(row["number"])
    given = fields.get(target)
    empty = given == "" and "" not in meaning  # a table cannot leave a cell out
    if row["split"] == "test" and (given is None or empty):
        return [Example(identity, text, UNLABELLED)]
    if empty:
        raise UserError(f"the field {target!r} is empty")
    value = _text(fields, target)
    if not meaning:
        value = value.strip()  # blanks of a table; hardly a tokenizer writes them
        if not value:
            raise UserError(f"the field {target!r} is blank")
        return [Example(identity, text, value, answers=(value,))]
    if value not in meaning:
        raise UserError(
            f"the label {value!r} in the field {target!r} is none of "
            f"{', '.join(map(repr, meaning))}"
        )
    return [Example(identity, text, meaning[value], answers=(meaning[value],))]


def _filled(fields: Mapping[str, Any], field: str | None) -> str:
    if field is None or field == PROMPT_MARK:
        return field or ""
    return _text(fields, field)


def _values(source: UserFiles, field: str) -> list[str]:
    """The sorted label values of the first split."""
    split = source.splits[0]
    rows = source.rows(split)
    if not rows:
        raise UserError(f"{source.name}: the split {split} has no examples")
    values = set()
    for row in rows:
        try:
            values.add(_text(row["fields"], field))
        except UserError as error:
            raise UserError(
                f"{source.name}, split {split}, row {row['number']}: {error}"
            ) from error
    return sorted(values - {""})  # an empty cell is no label
