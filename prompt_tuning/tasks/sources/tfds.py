"""tensorflow-datasets, without TensorFlow: prepared as array_record, read as a data source."""

import dataclasses
from typing import Any

from prompt_tuning.tasks.base import Row
from prompt_tuning.tasks.sources import DataSet


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """A data set prepared in `data_dir` (None: $TFDS_DATA_DIR or ~/tensorflow_datasets)."""

    dataset: DataSet
    data_dir: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.dataset.splits)

    def rows(self, split: str) -> list[Row]:
        raise NotImplementedError

    def describe(self, split: str) -> dict[str, Any]:
        return {"source": "tfds", "version": self.dataset.tfds}
