"""Where rows come from: tensorflow-datasets, the official files in a folder, or Hugging Face."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Row, Source


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which source to read, and where it lies."""

    source: Literal["tfds", "local", "hf"] = "tfds"  # tfds: tensorflow-datasets
    # tfds: its data folder (None: $TFDS_DATA_DIR or ~/tensorflow_datasets); local: the folder of
    # official files; hf: the cache folder
    dir: str | None = None
    # local only: split name -> file name or glob pattern under `dir`, where the files are not named
    # as in the official archives; split names beyond the official ones are welcome
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hf_path: str | None = None  # hf only: a repository, instead of the task's own
    hf_revision: str | None = None  # hf only: its commit


@dataclasses.dataclass(frozen=True)
class Split:
    """A split's name in tensorflow-datasets and on Hugging Face, and its official file names.

    The first file name found wins.
    """

    prepared: str
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One data set in all three sources.

    tfds: name and version in tensorflow-datasets. folder: of the official archive. parse: reads the
    official files of one split. hf: repository and configuration; hf_subset: the value of the
    column "subset" where one repository holds several sets. convert: a record of
    tensorflow-datasets or Hugging Face, labels by name, as the row that `parse` would give.
    """

    name: str
    tfds: str
    folder: str
    splits: Mapping[str, Split]
    parse: Callable[[list[Path], str], Iterator[Row]]
    hf: tuple[str, str | None]
    hf_subset: str | None = None
    convert: Callable[[Row], Row] = dict

    def split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"{self.name} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]


def open_source(dataset: DataSet, config: DataConfig) -> Source:
    """The source of a data set under a configuration; nothing is read yet."""
    if config.source != "local" and config.files:
        raise UserError("data files by split need the local source: set source to 'local'")
    if config.source != "hf" and (config.hf_path or config.hf_revision):
        raise UserError("hf_path and hf_revision need the Hugging Face source: set source to 'hf'")
    if config.source == "local":
        from prompt_tuning.tasks.sources.local import LocalSource

        if config.dir is None:
            raise UserError(f"{dataset.name}: the local source needs the folder of its files (dir)")
        return LocalSource(dataset, Path(config.dir), config.files)
    if config.source == "tfds":
        from prompt_tuning.tasks.sources.tfds import TfdsSource

        return TfdsSource(dataset, config.dir)
    if config.source == "hf":
        from prompt_tuning.tasks.sources.hf import HfSource

        return HfSource(dataset, config)
    raise UserError(f"unknown data source {config.source!r}; known: tfds, local, hf")


def benchmark_splits(
    extension: str, validation: str, names: tuple[str, ...] = ("train", "validation", "test")
) -> dict[str, Split]:
    """The usual three splits of SuperGLUE ("jsonl", "val") and GLUE ("tsv", "dev")."""
    files = {"train": "train", "validation": validation, "test": "test"}
    return {name: Split(name, (f"{files[name]}.{extension}",)) for name in names}


superglue_splits = functools.partial(benchmark_splits, "jsonl", "val")
glue_splits = functools.partial(benchmark_splits, "tsv", "dev")
