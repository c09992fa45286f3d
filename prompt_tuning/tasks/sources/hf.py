"""Hugging Face `datasets` (the extra "hf")."""

import dataclasses
import importlib
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Row
from prompt_tuning.tasks.sources import DataConfig, DataSet
from prompt_tuning.tasks.sources.tfds import class_names, first_line, plain_row


@dataclasses.dataclass(frozen=True)
class HfSource:
    """A data set of the Hugging Face hub, with the columns that tensorflow-datasets has."""

    dataset: DataSet
    config: DataConfig

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.dataset.splits)

    def rows(self, split: str) -> list[Row]:
        name = self.dataset.split(split).prepared
        path, configuration = self._repository()
        try:
            datasets = importlib.import_module("datasets")
        except ModuleNotFoundError as error:
            raise UserError(
                "the Hugging Face source needs the package `datasets`: install the extra "
                "prompt-tuning[hf]"
            ) from error
        try:
            table = datasets.load_dataset(
                path,
                configuration,
                split=name,
                revision=self.config.hf_revision,
                cache_dir=self.config.dir,
            )
            names = class_names(table.features)
            subset = self.dataset.hf_subset
            return [
                self.dataset.convert(plain_row(record, names))
                for record in table
                if subset is None or record["subset"] == subset
            ]
        except UserError:
            raise
        except Exception as error:  # the network's, the hub's and the library's own kinds
            raise UserError(
                f"cannot load {path} ({configuration or 'default'}), split {name}, from Hugging "
                f"Face: {first_line(error)}; hf_path and hf_revision name another repository"
            ) from error

    def describe(self, split: str) -> dict[str, Any]:
        path, configuration = self._repository()
        version = "/".join(part for part in (path, configuration) if part)
        return {"source": "hf", "version": f"{version}@{self.config.hf_revision or 'main'}"}

    def _repository(self) -> tuple[str, str | None]:
        path, configuration = self.dataset.hf
        return self.config.hf_path or path, configuration
