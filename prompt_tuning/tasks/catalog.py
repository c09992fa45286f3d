"""All tasks by name."""

import dataclasses

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import glue, qa, superglue
from prompt_tuning.tasks.base import Task, unknown
from prompt_tuning.tasks.mixture import MIXTURES, mix
from prompt_tuning.tasks.pocket import suite
from prompt_tuning.tasks.sources import DataConfig, DataSet, open_source
from prompt_tuning.tasks.sources.tfds import TfdsSource

_ALL = {task.name: task for task in (*superglue.TASKS, *glue.TASKS, *qa.TASKS, *suite.TASKS)}
# Those that are read from somewhere; the others are generated.
_DATASETS = {
    name: task.source.dataset for name, task in _ALL.items() if isinstance(task.source, TfdsSource)
}


def task_names() -> tuple[str, ...]:
    """The names that `get_task` knows, sorted; mixtures of them are in `mixture.MIXTURES`."""
    return tuple(sorted(_ALL))


def get_task(
    name: str,
    data: DataConfig | None = None,
    *,
    data_dir: str | None = None,
    name_in_text: bool = False,
) -> Task:
    """A task of the paper by name, such as "super_glue/rte", or a mixture: "mixture/super_glue".

    data: the source (default: tensorflow-datasets). data_dir: short for the local source in that
    folder of official files. name_in_text: T5's task name before each input; the paper's prompts
    are trained without it, its multi-task baseline with it. The tasks of the pocket suite
    ("pocket/boolq") are generated: they need no data and take no other source.
    Raises UserError for an unknown name, suggesting close ones. Nothing is read yet.
    """
    if name in MIXTURES:
        weights = MIXTURES[name]
        tasks = [get_task(n, data, data_dir=data_dir, name_in_text=name_in_text) for n in weights]
        return mix(name, tasks, tuple(weights.values()))
    if name not in _ALL:
        raise unknown("task", name, [*_ALL, *MIXTURES])
    if data is None:
        data = DataConfig("local", data_dir) if data_dir else DataConfig()
    task = dataclasses.replace(_ALL[name], name_in_text=name_in_text)
    if name in _DATASETS:
        return dataclasses.replace(task, source=open_source(_DATASETS[name], data))
    if data != DataConfig():
        raise UserError(f"{name} is generated, not read: leave its data source as it is by default")
    return task


def get_dataset(name: str) -> DataSet:
    """The data set that a task reads; UserError for one that is generated."""
    if name not in _ALL:
        raise unknown("task", name, _ALL)
    if name not in _DATASETS:
        raise UserError(f"{name} is generated: there is nothing to prepare")
    return _DATASETS[name]


def is_generated(name: str) -> bool:
    """Whether a task needs no data."""
    return name in _ALL and name not in _DATASETS
