"""SuperGLUE submission files: one JSONL file a task, named and formed as the benchmark asks."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_file
from prompt_tuning.tasks.base import Example, Task, natural_key
from prompt_tuning.tasks.metrics import wsc_match

Line = dict[str, Any]
Answers = list[tuple[Example, str]]


def _plain(answers: Answers) -> Iterator[Line]:
    for example, label in answers:
        yield {"idx": int(example.id), "label": label}


def _lower(answers: Answers) -> Iterator[Line]:
    for example, label in answers:
        yield {"idx": int(example.id), "label": label.lower()}


def _copa(answers: Answers) -> Iterator[Line]:
    for example, label in answers:
        yield {"idx": int(example.id), "label": ("choice1", "choice2").index(label)}


def _wsc(answers: Answers) -> Iterator[Line]:
    for example, output in answers:
        names_it = wsc_match(example.target, output) == 1
        yield {"idx": int(example.id), "label": "True" if names_it else "False"}


def _record(answers: Answers) -> Iterator[Line]:
    for example, output in answers:
        yield {"idx": int(example.id.split("/")[1]), "label": output}


def _multirc(answers: Answers) -> Iterator[Line]:
    """One line per passage, with its questions and their answers nested."""
    passages: dict[int, dict[int, list[Line]]] = {}
    for example, label in answers:
        passage, question, answer = map(int, example.id.split("/"))
        questions = passages.setdefault(passage, {})
        line = {"idx": answer, "label": int(label == "True")}
        questions.setdefault(question, []).append(line)
    for passage, questions in passages.items():
        nested = [{"idx": question, "answers": lines} for question, lines in questions.items()]
        yield {"idx": passage, "passage": {"questions": nested}}


_FORMS: dict[str, tuple[str, Callable[[Answers], Iterator[Line]]]] = {
    "super_glue/boolq": ("BoolQ.jsonl", _lower),
    "super_glue/cb": ("CB.jsonl", _plain),
    "super_glue/copa": ("COPA.jsonl", _copa),
    "super_glue/multirc": ("MultiRC.jsonl", _multirc),
    "super_glue/record": ("ReCoRD.jsonl", _record),
    "super_glue/rte": ("RTE.jsonl", _plain),
    "super_glue/wic": ("WiC.jsonl", _lower),
    "super_glue/wsc": ("WSC.jsonl", _wsc),
    "super_glue/axb": ("AX-b.jsonl", _plain),
    "super_glue/axg": ("AX-g.jsonl", _plain),
}


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A submission file written; `replaced` outputs were illegal and became the first label."""

    path: Path
    rows: int
    replaced: int


def check_form(task: Task) -> None:
    """Raise UserError if the benchmark has no file for a task."""
    if task.name not in _FORMS:
        raise UserError(f"{task.name} is no SuperGLUE task; known: {', '.join(_FORMS)}")


def write_submission(
    task: Task, examples: Sequence[Example], predictions: Sequence[str], folder: str | Path
) -> Submitted:
    """Writes the test predictions of a SuperGLUE task into `folder`, whole or not at all.

    Takes the examples of the split "test" and the model's output texts, in any common order; the
    lines come out in the order of the official test file. The benchmark knows no invalid answers,
    so an output that is no legal label becomes the task's first label, and is counted.
    """
    check_form(task)
    if len(examples) != len(predictions):
        raise ValueError(f"{len(examples)} examples but {len(predictions)} predictions")
    if len({example.id for example in examples}) != len(examples):
        raise UserError(f"{task.name}: an example occurs twice in the predictions")
    legal = [task.is_legal(output) or not task.labels for output in predictions]
    answers = [
        (example, task.postprocess(output) if fine else task.labels[0])
        for example, output, fine in zip(examples, predictions, legal, strict=True)
    ]
    answers.sort(key=lambda answer: natural_key(answer[0].id))
    file, form = _FORMS[task.name]
    path = Path(folder) / file
    text = "".join(json.dumps(line) + "\n" for line in form(answers))
    write_file(path, text.encode())
    return Submitted(path, rows=len(answers), replaced=legal.count(False))


def zip_submission(folder: str | Path, archive: str | Path) -> list[str]:
    """Packs the submission files of a folder into a zip, whole or not at all.

    Returns the official files that the folder lacks: the benchmark wants all ten.
    """
    folder, archive = Path(folder), Path(archive)
    names = [file for file, _ in _FORMS.values()]
    present = [name for name in names if (folder / name).is_file()]
    if not present:
        raise UserError(f"{folder} has no submission files; they are called {', '.join(names)}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in present:
            # A fixed date: the same predictions give the same bytes.
            content = (folder / name).read_bytes()
            file.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
    write_file(archive, packed.getvalue())
    return [name for name in names if name not in present]
