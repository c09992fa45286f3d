"""The official file forms of the data sets, read into tensorflow-datasets' rows.

Each parser takes the files of one split and the split's name, and yields rows with the label as its
name (None where a test file withholds it).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Row
from prompt_tuning.tasks.sources.files import (
    parse_object,
    read_jsonl,
    read_lines,
    read_table,
    read_text,
)

Parser = Callable[[list[Path], str], Iterator[Row]]


def _field(row: Mapping[str, Any], name: str, where: str) -> Any:
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: there is no object with {name!r}, but {row!r:.60}")
    if name not in row:
        present = ", ".join(map(str, row)) or "no fields"
        raise UserError(f"{where}: the field {name!r} is missing; the row has: {present}")
    return row[name]


def _label(row: Mapping[str, Any], split: str, where: str) -> str | None:
    """A label by its name; only a test split may lack it."""
    label = row.get("label") if split == "test" else _field(row, "label", where)
    return label if label is None else str(label)


def _objects(paths: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        for number, row in enumerate(read_jsonl(path), start=1):
            yield f"{path}, row {number}", row


def superglue(paths: list[Path], split: str) -> Iterator[Row]:
    """BoolQ, CB, RTE, WiC, AX-b, AX-g: flat objects; true and false become their names."""
    for where, row in _objects(paths):
        yield row | {"label": _label(row, split, where)}


def copa(paths: list[Path], split: str) -> Iterator[Row]:
    """COPA: label 0 means choice1."""
    names = {"0": "choice1", "1": "choice2", None: None}
    for where, row in _objects(paths):
        label = _label(row, split, where)
        yield row | {"label": names.get(label, label)}


def multirc(paths: list[Path], split: str) -> Iterator[Row]:
    """MultiRC: one row per passage, question and answer."""
    names = {"0": "False", "1": "True", None: None}
    for where, passage in _objects(paths):
        content = _field(passage, "passage", where)
        for question in _field(content, "questions", where):
            for answer in _field(question, "answers", where):
                label = _label(answer, split, where)
                yield {
                    "paragraph": _field(content, "text", where),
                    "question": _field(question, "question", where),
                    "answer": _field(answer, "text", where),
                    "label": names.get(label, label),
                    "idx": {
                        "paragraph": _field(passage, "idx", where),
                        "question": _field(question, "idx", where),
                        "answer": _field(answer, "idx", where),
                    },
                }


def record(paths: list[Path], split: str) -> Iterator[Row]:
    """ReCoRD: one row per query; entities and answers unique and sorted. Ends are inclusive."""
    for where, article in _objects(paths):
        passage = _field(article, "passage", where)
        text = _field(passage, "text", where)
        spans = _field(passage, "entities", where)
        entities = sorted({text[span["start"] : span["end"] + 1] for span in spans})
        for query in _field(article, "qas", where):
            found = query.get("answers", []) if split == "test" else _field(query, "answers", where)
            yield {
                "passage": text,
                "query": _field(query, "query", where),
                "entities": entities,
                "answers": sorted({answer["text"] for answer in found}),
                "idx": {
                    "passage": _field(article, "idx", where),
                    "query": _field(query, "idx", where),
                },
            }


def wsc(paths: list[Path], split: str) -> Iterator[Row]:
    """WSC with its spans made substrings of the text where that is possible ("wsc.fixed")."""
    for where, row in _objects(paths):
        target = _field(row, "target", where)
        spans = {
            name: _span(row["text"], target[name], target[name.replace("text", "index")])
            for name in ("span1_text", "span2_text")
        }
        yield row | target | spans | {"label": _label(row, split, where)}


def _span(text: str, span: str, index: int) -> str:
    """The span with the capital of the word it points at, on one line, without a full stop."""
    words = text.split()
    if span in text or not span or index >= len(words):
        return span
    first = span[0].lower() if words[index][0].islower() else span[0].upper()
    fixed = (first + span[1:]).rstrip(".").replace("\n", " ")
    return fixed if fixed in text else span


def _tsv(
    paths: list[Path],
    columns: Mapping[str, str],
    header: tuple[str, ...] | None = None,
    skip_short: bool = False,
) -> Iterator[dict[str, Any]]:
    """Rows {name: text of its column} with `idx`, the row number over all files."""
    index = -1
    for path in paths:
        for number, cells in read_table(path, header):
            index += 1
            missing = [column for column in columns.values() if column not in cells]
            if skip_short and (missing or cells.get(columns.get("label", "")) == ""):
                continue
            if missing:
                raise UserError(
                    f"{path}, line {number}: the column {missing[0]!r} is missing; the line has: "
                    f"{', '.join(cells)}"
                )
            yield {name: cells[column] for name, column in columns.items()} | {"idx": index}


def glue(
    paths: list[Path],
    split: str,
    *,
    columns: Mapping[str, str],
    label: str,
    classes: tuple[str, ...] = (),
    skip_short: bool = False,
) -> Iterator[Row]:
    """GLUE's tab-separated files: `columns` are {field: column}, `label` is the label's column.

    Numbers stand for `classes` in order. `skip_short` drops rows that lack a cell or a label, as
    tensorflow-datasets does: QQP has a few, elsewhere they mean a damaged file.
    """
    wanted = dict(columns) | ({} if split.startswith("test") else {"label": label})
    for row in _tsv(paths, wanted, skip_short=skip_short):
        name = row.get("label")
        if name is not None and name.isdecimal() and int(name) < len(classes):
            name = classes[int(name)]
        yield row | {"label": name}


def cola(paths: list[Path], split: str) -> Iterator[Row]:
    """CoLA: train and dev have four columns and no header line, test has one."""
    classes = ("unacceptable", "acceptable")
    if split == "test":
        yield from glue(paths, split, columns={"sentence": "sentence"}, label="")
        return
    columns = {"sentence": "sentence", "label": "label"}
    for row in _tsv(paths, columns, header=("source", "label", "mark", "sentence")):
        known = row["label"] in ("0", "1")
        yield row | {"label": classes[int(row["label"])] if known else row["label"]}


def mrpc(paths: list[Path], split: str) -> Iterator[Row]:
    """MRPC: GLUE's files, or the original training file with the list of dev ids beside it."""
    columns = {"sentence1": "#1 String", "sentence2": "#2 String"}
    classes = ("not_equivalent", "equivalent")
    rows = glue(paths, split, columns=columns, label="Quality", classes=classes)
    if paths[0].name != "msr_paraphrase_train.txt":
        yield from rows
        return
    names = ("mrpc_dev_ids.tsv", "data_mrpc_dev_ids.tsv", "dev_ids.tsv")
    lists = [paths[0].parent / name for name in names if (paths[0].parent / name).is_file()]
    if not lists:
        raise UserError(f"{paths[0]} needs the list of dev ids beside it: {' or '.join(names)}")
    dev = {tuple(line.strip().split("\t")) for _, line in read_lines(lists[0])}
    ids = [(cells.get("#1 ID"), cells.get("#2 ID")) for _, cells in read_table(paths[0])]
    for row in rows:
        if (ids[row["idx"]] in dev) == (split == "validation"):
            yield row


def squad(paths: list[Path], split: str) -> Iterator[Row]:
    """SQuAD v1.1 JSON, also flattened so that a question occurs once per answer."""
    questions: dict[str, dict[str, Any]] = {}
    for path in paths:
        for article in _field(parse_object(read_text(path), str(path)), "data", str(path)):
            for paragraph in _field(article, "paragraphs", str(path)):
                context = _field(paragraph, "context", str(path))
                for item in _field(paragraph, "qas", str(path)):
                    where = f"{path}, question {item.get('id')}"
                    row = questions.setdefault(
                        _field(item, "id", where),
                        {
                            "id": item["id"],
                            "context": context,
                            "question": _field(item, "question", where),
                            "answers": [],
                        },
                    )
                    row["answers"] += [a["text"] for a in _field(item, "answers", where)]
    yield from questions.values()


def mrqa(paths: list[Path], split: str) -> Iterator[Row]:
    """MRQA's JSONL after its header line. The first detected answer, a span of the context, leads.

    (As the released code's converter has it; the other answers serve the evaluation.)
    """
    for where, passage in _objects(paths):
        if "header" in passage:
            continue
        for question in _field(passage, "qas", where):
            yield mrqa_row(question | {"context": _field(passage, "context", where)})


def mrqa_row(question: Row) -> Row:
    """The row of one MRQA question, from the official file or from tensorflow-datasets."""
    detected = question.get("detected_answers") or []
    texts = detected["text"] if isinstance(detected, dict) else [d["text"] for d in detected]
    return {
        "id": question["qid"],
        "context": question["context"].strip(),
        "question": question["question"].strip(),
        "target": texts[0].strip() if len(texts) else None,
        "answers": list(question["answers"]),
    }


def dpr(paths: list[Path], split: str) -> Iterator[Row]:
    """Definite pronoun resolution: sentence, pronoun, candidates, answer, blank line."""
    for path in paths:
        lines = [line.strip() for _, line in read_lines(path)]
        if len(lines) % 4:
            raise UserError(f"{path}: {len(lines)} lines are no multiple of 4; is it cut off?")
        for at in range(0, len(lines), 4):
            sentence, pronoun, listed, answer = lines[at : at + 4]
            candidates = [candidate.strip() for candidate in listed.split(",")]
            if answer not in candidates:
                raise UserError(
                    f"{path}, record {at // 4 + 1}: the answer {answer!r} is none of "
                    f"{', '.join(map(repr, candidates))}"
                )
            yield {
                "sentence": sentence,
                "pronoun": pronoun,
                "candidates": candidates,
                "label": candidates.index(answer),
            }
