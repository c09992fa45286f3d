"""`prompt-tuning data prepare|list|show|verify|zip`."""

import pathlib

import tyro

from prompt_tuning.tasks import data_tools
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.submission import zip_submission

Names = tyro.conf.Positional[tuple[str, ...]]
_TFDS = DataConfig()


def prepare(
    tasks: Names,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    accept: dict[str, str] | None = None,
) -> None:
    """Download data sets, check them and prepare them with tensorflow-datasets.

    A repeated call goes on where the last one stopped.

    Args:
        tasks: names such as super_glue/rte; a name that ends in "/" stands for all tasks under it.
        data_dir: the folder for prepared data. None: $TFDS_DATA_DIR or ~/tensorflow_datasets.
        manual_dir: a folder of archives that were downloaded by hand.
        accept: other sha256 sums that are fine too, as FILE SUM pairs.
    """
    data_tools.prepare(tasks, data_dir, manual_dir, accept)


def list_tasks(data_dir: str | None = None) -> None:
    """List all tasks: prepared or not, version, splits with their recorded rows, labels.

    Args:
        data_dir: the folder of prepared data. None: $TFDS_DATA_DIR or ~/tensorflow_datasets.
    """
    listed = data_tools.list_tasks(data_dir)
    name_width = max(len(task.name) for task in listed)
    version_width = max(len(task.version) for task in listed)
    for task in listed:
        splits = ", ".join(
            f"{split} {task.rows[split]:,}" if split in task.rows else split
            for split in task.splits
        )
        state = "prepared" if task.prepared else "-"
        labels = f"  [{', '.join(task.labels)}]" if task.labels else ""
        print(
            f"{task.name:<{name_width}}  {state:<8}  {task.version:<{version_width}}  "
            f"{splits}{labels}"
        )


def show(
    task: tyro.conf.Positional[str],
    split: str = "validation",
    count: int = 3,
    tokenizer: pathlib.Path | None = None,
    task_name_in_text: bool = False,
    data: DataConfig = _TFDS,
) -> None:
    """Show formatted examples, label counts and, with a tokenizer, lengths in tokens.

    Args:
        task: a name such as super_glue/rte.
        split: which split.
        count: examples to show.
        tokenizer: the folder of a model, or its spiece.model or tokenizer.json.
        task_name_in_text: T5's task name before the text.
        data: where the data come from.
    """
    encode = None
    if tokenizer is not None:
        from prompt_tuning.t5.tokenizer import load_tokenizer

        encode = load_tokenizer(tokenizer).encode
    found = get_task(task, data, name_in_text=task_name_in_text)
    print(data_tools.show(found, split, count, encode))


def verify(
    tasks: Names,
    splits: tuple[str, ...] = (),
    data: DataConfig = _TFDS,
) -> int:
    """Compare row counts and contents with the recorded ones; the exit status is 1 if any differ.

    Args:
        tasks: names such as super_glue/rte; a name that ends in "/" stands for all tasks under it.
        splits: those to check. None given: all on record.
        data: where the data come from.
    """
    results = data_tools.verify(tasks, data, splits or None)
    for result in results:
        if result.ok:
            what = "rows and content" if result.hashed else "rows"
            print(f"ok    {result.task}, split {result.split}: {result.rows:,} rows ({what} agree)")
        else:
            print(f"fail  {result.problem}")
    return int(not all(result.ok for result in results))


def pack(
    folder: tyro.conf.Positional[pathlib.Path], archive: tyro.conf.Positional[pathlib.Path]
) -> None:
    """Pack the submission files of `evaluate --submission` into the zip that SuperGLUE takes.

    Args:
        folder: where the files are.
        archive: the .zip to write.
    """
    missing = zip_submission(folder, archive)
    print(f"written {archive}")
    if missing:
        print(f"the benchmark also wants {', '.join(missing)}")
