"""What `prompt-tuning data` does: prepare, list, show and verify; and the manifest of a run."""

import dataclasses
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Example, Task, lengths
from prompt_tuning.tasks.catalog import get_dataset, get_task, is_generated, task_names
from prompt_tuning.tasks.mixture import MIXTURES
from prompt_tuning.tasks.recorded import RECORDED
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.sources.prepare import prepare_dataset
from prompt_tuning.tasks.sources.tfds import prepared_folder


def prepare(
    names: Sequence[str],
    data_dir: str | None = None,
    manual_dir: str | None = None,
    accept: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = print,
) -> None:
    """Prepares the data sets of these tasks with tensorflow-datasets (`prepare_dataset`).

    A name that ends in "/" stands for all tasks under it ("super_glue/"). Stops at the first
    failure; a repeated call goes on from there.
    """
    chosen = _expanded(names)  # a wrong name fails first
    datasets = {dataset.tfds: dataset for dataset in map(get_dataset, chosen)}
    for number, dataset in enumerate(datasets.values(), start=1):
        progress(f"[{number}/{len(datasets)}] {dataset.name}")
        prepare_dataset(dataset, data_dir, manual_dir, accept, progress)


def _expanded(names: Sequence[str]) -> list[str]:
    if not names:
        raise UserError("name a task, such as super_glue/rte, or super_glue/ for all under it")
    return [task for name in names for task in _expand(name)]


def _expand(name: str) -> list[str]:
    if name in MIXTURES:
        return list(MIXTURES[name])
    if not name.endswith("/"):
        get_task(name)  # raises for an unknown one
        return [name]
    inside = [task for task in task_names() if task.startswith(name)]
    if not inside:
        raise UserError(f"there are no tasks under {name}")
    return inside


@dataclasses.dataclass(frozen=True)
class Listed:
    """A task as `data list` shows it. `rows` are the recorded ones by split.

    What is generated counts as prepared.
    """

    name: str
    version: str
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    rows: dict[str, int]
    prepared: bool


def list_tasks(data_dir: str | None = None) -> list[Listed]:
    """All tasks, and whether tensorflow-datasets has prepared their data in `data_dir`."""
    listed = []
    for name in task_names():
        task = get_task(name)
        if is_generated(name):
            version, prepared = "generated", True
        else:
            dataset = get_dataset(name)
            folder = prepared_folder(dataset, data_dir)
            version, prepared = dataset.tfds, (folder / "dataset_info.json").is_file()
        listed.append(
            Listed(
                name=name,
                version=version,
                splits=task.splits,
                labels=task.labels,
                rows={split: rows for split, (rows, _) in RECORDED.get(name, {}).items()},
                prepared=prepared,
            )
        )
    return listed


def show(
    task: Task,
    split: str,
    count: int = 3,
    encode: Callable[[str], Sequence[int]] | None = None,
    training: bool | None = None,
) -> str:
    """The first examples as the model sees them, the target counts and, with `encode`, lengths."""
    examples = task.load(split, training)
    lines = [f"{task.name}, split {split}: {len(examples)} examples"]
    for example in examples[:count]:
        lines += ["", f"id      {example.id}", f"input   {example.input!r}"]
        lines += [f"target  {example.target!r}"]
        if example.answers[1:]:
            lines += [f"answers {', '.join(map(repr, example.answers))}"]
        if encode is not None:
            lines += [f"tokens  {len(encode(example.input))} + {len(encode(example.target))}"]
    counts = Counter(example.target for example in examples)
    if task.labels:
        shares = (
            f"{text} {n} ({100 * n / len(examples):.1f} %)" for text, n in counts.most_common()
        )
        lines += ["", f"targets: {', '.join(shares)}"]
    else:
        lines += ["", f"targets: free text, {len(counts)} different"]
    if encode is not None:
        inputs, targets = zip(*lengths(examples, encode), strict=True)
        lines += [_spread("input", inputs), _spread("target", targets)]
    return "\n".join(lines)


def _spread(what: str, counts: Sequence[int]) -> str:
    ordered = sorted(counts)
    most = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return (
        f"{what} tokens: median {statistics.median(ordered):g}, 99 % at most {most}, "
        f"longest {ordered[-1]}"
    )


def content_hash(examples: Sequence[Example]) -> str:
    """sha256 of the examples' texts, answers, groups and labels; neither order nor ids count."""
    lines = sorted(
        json.dumps([e.input, e.target, list(e.answers), e.group, e.label], ensure_ascii=True)
        for e in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def manifest(
    task: Task, split: str, examples: Sequence[Example] | None = None, training: bool | None = None
) -> dict[str, Any]:
    """What a run records of its data: source, version, rows and content hash of a split.

    `examples` are those of `task.load(split, training)` where they are loaded already.
    """
    if examples is None:
        examples = task.load(split, training)
    return {
        "task": task.name,
        "split": split,
        "name_in_text": task.name_in_text,
        "rows": len(examples),
        "content_hash": content_hash(examples),
    } | task.source.describe(split)


@dataclasses.dataclass(frozen=True)
class Verified:
    """A split compared with its record. Nothing recorded or nothing to read is not `ok` as such.

    problem: None if all is well, else one line. hashed: whether a content hash was on record.
    """

    task: str
    split: str
    rows: int
    content_hash: str
    hashed: bool
    problem: str | None

    @property
    def ok(self) -> bool:
        return self.problem is None


def verify(
    names: Sequence[str], data: DataConfig | None = None, splits: Sequence[str] | None = None
) -> list[Verified]:
    """Compares row counts and content hashes of tasks with the recorded ones.

    splits: those to check (default: all recorded ones). A split that cannot be read is a problem,
    not an exception, so that all splits are reported.
    """
    results = []
    for name in _expanded(names):
        task, records = get_task(name, data), RECORDED.get(name, {})
        for split in splits or records or task.splits:
            results.append(_verify(task, split, records.get(split)))
    return results


def _verify(task: Task, split: str, record: tuple[int, str | None] | None) -> Verified:
    try:
        examples = task.load(split)
    except UserError as error:
        return Verified(task.name, split, 0, "", hashed=False, problem=str(error))
    found = content_hash(examples)
    problem = None
    rows, expected = record or (None, None)
    if rows is None:
        problem = f"{task.name}, split {split}: nothing is on record to compare with"
    elif len(examples) != rows:
        problem = f"{task.name}, split {split}: {len(examples)} rows, {rows} are on record"
    elif expected is not None and found != expected:
        problem = (
            f"{task.name}, split {split}: the content differs from the record "
            f"(sha256 {found[:12]} instead of {expected[:12]})"
        )
    return Verified(task.name, split, len(examples), found, expected is not None, problem)
