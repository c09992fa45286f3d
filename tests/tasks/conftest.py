"""Rows given by hand, and small archives in the official layouts from the shared fixtures."""

import dataclasses
import hashlib
import zipfile

import pytest

from prompt_tuning.tasks import get_task

SUPERGLUE = {
    "boolq": "BoolQ",
    "cb": "CB",
    "copa": "COPA",
    "multirc": "MultiRC",
    "record": "ReCoRD",
    "rte": "RTE",
    "wic": "WiC",
    "wsc": "WSC",
    "axb": "AX-b",
    "axg": "AX-g",
}
GLUE = {
    "cola": ("CoLA.zip", "CoLA"),
    "mnli": ("MNLI.zip", "MNLI"),
    "qnli": ("QNLIv2.zip", "QNLI"),
    "qqp": ("QQP.zip", "QQP"),
    "rte": ("RTE.zip", "RTE"),
    "sst2": ("SST-2.zip", "SST-2"),
    "stsb": ("STS-B.zip", "STS-B"),
    "wnli": ("WNLI.zip", "WNLI"),
}


class Rows:
    """A source that holds its rows."""

    splits = ("train", "validation", "test")

    def __init__(self, *rows):
        self._rows = list(rows)

    def rows(self, split):
        return self._rows

    def describe(self, split):
        return {}


def task_with(name, *rows, **options):
    """A task that reads these rows."""
    return dataclasses.replace(get_task(name, **options), source=Rows(*rows))


def pack(archive, files):
    """A zip of {member name: bytes}."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)


def unpack(archive, folder):
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def members(archive):
    """{member name below the fixture's own folder: bytes} of a fixture."""
    with zipfile.ZipFile(archive) as packed:
        names = [name for name in packed.namelist() if not name.endswith("/")]
        inside = {n.split("/", 1)[1] if n.startswith("dummy_") else n: n for n in names}
        # The STS-B fixture misnames its folder.
        return {k.replace("SST-B/", "STS-B/"): packed.read(v) for k, v in inside.items()}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def archives(shared_data, tmp_path_factory):
    """A manual folder: super_glue/RTE.zip, glue/RTE.zip and so on, as one would download them."""
    folder = tmp_path_factory.mktemp("manual")
    fixtures = shared_data / "tfds_fixtures"
    everything = members(fixtures / "super_glue/boolq/1.0.2/dummy_data.zip")
    for name in SUPERGLUE.values():
        inside = {k: v for k, v in everything.items() if k.startswith(f"{name}/")}
        assert inside
        pack(folder / "super_glue" / f"{name}.zip", inside)
    for short, (archive, _) in GLUE.items():
        found = members(fixtures / f"glue/{short}/1.0.0/dummy_data.zip")
        pack(folder / "glue" / archive, found)
    diagnostic = members(fixtures / "glue/ax/1.0.0/dummy_data.zip")
    (folder / "glue" / "tsvsWithoutLabels_AX.tsv").write_bytes(diagnostic["ax.tsv"])
    return folder


@pytest.fixture(scope="session")
def unpacked(archives, tmp_path_factory):
    """The same archives unpacked side by side: super_glue/RTE/train.jsonl and so on."""
    folder = tmp_path_factory.mktemp("official")
    for archive in archives.rglob("*.zip"):
        unpack(archive, folder / archive.parent.name)
    diagnostic = folder / "glue" / "diagnostic"
    diagnostic.mkdir()
    content = (archives / "glue" / "tsvsWithoutLabels_AX.tsv").read_bytes()
    (diagnostic / "diagnostic.tsv").write_bytes(content)
    return folder
