"""tensorflow-datasets, without TensorFlow: prepared as array_record, read as a data source."""

import dataclasses
import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.errors import UserError
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
        prepared = self.dataset.split(split).prepared
        folder = self._prepared_folder()
        # Slow to import, so only here. The classes of the builders are not needed for reading.
        tfds = importlib.import_module("tensorflow_datasets")
        try:
            builder = tfds.builder_from_directory(str(folder))
            records = builder.as_data_source(split=prepared)
            found, expected = len(records), builder.info.splits[prepared].num_examples
            names = class_names(builder.info.features)
            rows = [self.dataset.convert(plain_row(record, names)) for record in records]
        except UserError:
            raise
        except NotImplementedError as error:
            raise UserError(
                f"{folder} was not prepared as array_record, which reading without TensorFlow "
                "needs; prepare it again in another data folder"
            ) from error
        except Exception as error:  # any of the library's own, on damaged files
            raise UserError(
                f"cannot read {folder}, split {prepared}: {first_line(error)}; delete the folder "
                f"and run `prompt-tuning data prepare {self.dataset.name}`"
            ) from error
        if found != expected:
            raise UserError(
                f"{folder}, split {prepared}: {found} rows where its own record says {expected}; "
                f"delete the folder and run `prompt-tuning data prepare {self.dataset.name}`"
            )
        return rows

    def describe(self, split: str) -> dict[str, Any]:
        return {"source": "tfds", "version": self.dataset.tfds}

    def _prepared_folder(self) -> Path:
        folder = prepared_folder(self.dataset, self.data_dir)
        if not (folder / "dataset_info.json").is_file():
            raise UserError(
                f"{self.dataset.name} is not prepared in {default_data_dir(self.data_dir)}; run "
                f"`prompt-tuning data prepare {self.dataset.name}`, or read a folder of the "
                "official files with the local source"
            )
        return folder


def default_data_dir(data_dir: str | None) -> Path:
    """The data folder of tensorflow-datasets: given, $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(os.path.expanduser(chosen))


def prepared_folder(dataset: DataSet, data_dir: str | None) -> Path:
    """Where tensorflow-datasets keeps a data set of this name, configuration and version."""
    return default_data_dir(data_dir) / dataset.tfds.replace(":", "/")


def class_names(features: Any) -> list[str] | None:
    """The names of the classes of the feature "label", or None if it has none."""
    names = getattr(dict(features).get("label"), "names", None)
    return None if names is None else list(names)


def plain_row(record: Mapping[str, Any], names: list[str] | None) -> dict[str, Any]:
    """A record as plain Python values; its label by name, or None where it is withheld (-1)."""
    row = {name: plain(value) for name, value in record.items()}
    label = row.get("label")
    if isinstance(label, int | float) and label < 0:
        row["label"] = None
    elif isinstance(label, int) and names is not None:
        row["label"] = names[label]
    return row


def plain(value: Any) -> Any:
    """bytes, numpy scalars and arrays, at any depth, as text, numbers and lists."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return plain(value.item())
    if isinstance(value, Iterable):
        return [plain(inner) for inner in value]
    raise TypeError(f"unexpected value of type {type(value).__name__} in a record")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
