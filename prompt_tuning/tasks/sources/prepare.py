"""Preparing data sets with tensorflow-datasets, from downloads or from manual files."""

import contextlib
import importlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.sources import DataSet
from prompt_tuning.tasks.sources.tfds import default_data_dir, first_line, prepared_folder
from prompt_tuning.tasks.sources.without_tensorflow import without_tensorflow


def prepare_dataset(
    dataset: DataSet,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    accept: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = print,
) -> Path:
    """Prepares one data set and returns its folder; what is there already is kept.

    The archives are downloaded, or taken from `manual_dir` (or its folder "super_glue" or "glue",
    which both have an RTE.zip) under their own names, and checked against the sha256 sums that
    tensorflow-datasets has on record; `accept` maps file names to other sums that are fine too.
    MRQA has no sums on record: its files are train/SQuAD.jsonl.gz, dev/DROP.jsonl.gz and so on.
    Finished downloads are kept, so that a repeated call goes on where the last one stopped; a data
    set becomes visible only when it is complete.
    Raises UserError on a wrong checksum, a failed download or unreadable content.
    """
    folder = prepared_folder(dataset, data_dir)
    if (folder / "dataset_info.json").is_file():
        progress(f"{dataset.name}: already prepared in {folder}")
        return folder
    progress(f"{dataset.name}: preparing {dataset.tfds}")
    root = default_data_dir(data_dir)
    manual = _manual_folder(dataset, manual_dir)
    tfds = importlib.import_module("tensorflow_datasets")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            # Unpacked anew: tensorflow-datasets reuses what it unpacked by file name alone.
            tempfile.TemporaryDirectory(prefix="unpack-", dir=root) as unpacked,
            contextlib.redirect_stdout(io.StringIO()),
            without_tensorflow(),
        ):
            # tfrecord, the default, would need TensorFlow.
            builder = tfds.builder(
                dataset.tfds, data_dir=str(root), file_format="array_record", try_gcs=False
            )
            staged = Path(unpacked) / "manual"
            staged.mkdir()
            infos = _url_infos(builder, manual, staged, accept or {})
            config = tfds.download.DownloadConfig(
                manual_dir=str(staged),
                extract_dir=str(Path(unpacked) / "extracted"),
                try_download_gcs=False,
            )
            with _checksums(type(builder), infos):
                builder.download_and_prepare(
                    download_dir=str(root / "downloads"), download_config=config
                )
    except UserError:
        raise
    except Exception as error:  # the library's, the network's and the archive readers' own kinds
        raise _explained(dataset, error) from error
    counts = ", ".join(f"{name} {info.num_examples}" for name, info in builder.info.splits.items())
    progress(f"{dataset.name}: done ({counts} rows) in {folder}")
    return folder


def _manual_folder(dataset: DataSet, manual_dir: str | None) -> Path | None:
    if manual_dir is None:
        return None
    folder = Path(os.path.expanduser(manual_dir))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} with manually downloaded files")
    own = folder / dataset.name.split("/")[0]
    return own if own.is_dir() else folder


def _url_infos(
    builder: Any, manual: Path | None, staged: Path, accept: Mapping[str, str]
) -> dict[str, Any]:
    """What to expect of each URL, after linking the manual files into the folder `staged`.

    Staging gives files that share a name (MRQA's train and dev) names of their own, which
    tensorflow-datasets needs to tell them apart.
    """
    checksums = importlib.import_module("tensorflow_datasets.core.download.checksums")
    epath = importlib.import_module("etils.epath")
    infos = dict(type(builder).url_infos or {})
    unchecked = dict(getattr(builder.builder_config, "data_urls", None) or {})
    for url in unchecked.values():
        # BioASQ's URL is a page, not a file.
        parts = url.split("/")
        name = "/".join(parts[-2:]) if parts[-1] else "dev/BioASQ.jsonl.gz"
        infos.setdefault(url, checksums.UrlInfo(size=0, checksum="", filename=name))
    for url, info in list(infos.items()):
        found = _find(manual, info.filename)
        if found is None:
            if not info.checksum:
                del infos[url]  # it will be downloaded, unchecked
            continue
        staged_name = info.filename.replace("/", "-")
        link = staged / staged_name
        if not link.exists():
            link.symlink_to(found.resolve())
        kept = info
        if not info.checksum or found.name in accept:
            actual = checksums.compute_url_info(epath.Path(found))
            kept = info if accept.get(found.name, actual.checksum) != actual.checksum else actual
        infos[url] = checksums.UrlInfo(kept.size, kept.checksum, filename=staged_name)
    return infos


def _find(manual: Path | None, name: str | None) -> Path | None:
    if manual is None or not name:
        return None
    places = (manual / name, manual / Path(name).name)
    return next((place for place in places if place.is_file()), None)


@contextlib.contextmanager
def _checksums(builder_class: Any, infos: dict[str, Any]) -> Generator[None]:
    """Lets a builder class see these checksums instead of the recorded ones."""
    builder_class.url_infos = infos
    try:
        yield
    finally:
        del builder_class.url_infos


def _explained(dataset: DataSet, error: Exception) -> UserError:
    """One line on a failed preparation. Nothing of it is left but finished downloads."""
    text = str(error)
    if type(error).__name__ == "NonMatchingChecksumError":
        sums = re.findall("checksum='([0-9a-f]*)'", text)
        path = re.search(r"downloaded to (.*), has wrong", text)
        name = Path(path.group(1)).name if path else "the archive"
        return UserError(
            f"{dataset.name}: {name} has the wrong checksum: expected sha256 {sums[0]}, found "
            f"{sums[-1]}; it is damaged or not the official file"
        )
    return UserError(
        f"{dataset.name}: cannot be prepared: {type(error).__name__}: {first_line(error)}; without "
        "a network, put the official archive in a folder and name that as the manual folder"
    )
