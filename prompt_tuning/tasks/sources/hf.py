"""Hugging Face `datasets` (the extra "hf")."""

import dataclasses
from typing import Any

from prompt_tuning.tasks.base import Row
from prompt_tuning.tasks.sources import DataConfig, DataSet


@dataclasses.dataclass(frozen=True)
class HfSource:
    """A data set on the Hugging Face hub."""

    dataset: DataSet
    config: DataConfig

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.dataset.splits)

    def rows(self, split: str) -> list[Row]:
        raise NotImplementedError

    def describe(self, split: str) -> dict[str, Any]:
        raise NotImplementedError
