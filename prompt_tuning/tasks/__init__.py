"""Tasks: the paper's data sets with their text formats, labels and metrics, and the user's own."""

from prompt_tuning.tasks.base import UNLABELLED, Example, Scores, Task, lengths
from prompt_tuning.tasks.catalog import get_task, task_names
from prompt_tuning.tasks.mixture import mix
from prompt_tuning.tasks.scoring import glue_average, superglue_average
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.user import user_task

__all__ = [
    "UNLABELLED",
    "DataConfig",
    "Example",
    "Scores",
    "Task",
    "get_task",
    "glue_average",
    "lengths",
    "mix",
    "superglue_average",
    "task_names",
    "user_task",
]
