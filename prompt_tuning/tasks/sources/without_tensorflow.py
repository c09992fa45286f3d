"""Lets tensorflow-datasets prepare our data sets on a machine that has no TensorFlow.

tensorflow-datasets 4.9 reads prepared array_record files without TensorFlow, but its builders and
its unpacking of archives name a few things of it. While `without_tensorflow` is active, the modules
concerned see a small stand-in instead. It never enters `sys.modules`, everything is put back
afterwards, and where TensorFlow is installed nothing is touched.
"""

import contextlib
import importlib
import importlib.util
import os
import shutil
import types
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np


def stand_in() -> types.SimpleNamespace:
    """The parts of TensorFlow that our builders and the archive extraction use."""
    gfile = types.SimpleNamespace(
        GFile=open,
        exists=os.path.exists,
        isdir=os.path.isdir,
        remove=os.remove,
        rmtree=shutil.rmtree,
        makedirs=lambda path: Path(path).mkdir(parents=True, exist_ok=True),
    )
    return types.SimpleNamespace(
        int32=np.int32,
        int64=np.int64,
        float32=np.float32,
        string=np.object_,
        compat=types.SimpleNamespace(as_text=_as_text),
        io=types.SimpleNamespace(gfile=gfile),
        errors=types.SimpleNamespace(OpError=OSError, NotFoundError=FileNotFoundError),
    )


def _as_text(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


@contextlib.contextmanager
def without_tensorflow() -> Generator[None]:
    """While active, the data sets of this project can be prepared without TensorFlow."""
    # Registers the builders: the lookup by name stops at a package that is missing.
    importlib.import_module("tensorflow_datasets.text")
    if importlib.util.find_spec("tensorflow") is not None:
        yield
        return
    tf = stand_in()
    tensor_info = importlib.import_module("tensorflow_datasets.core.features.feature").TensorInfo
    places: list[tuple[Any, str, Any]] = [
        (importlib.import_module("tensorflow_datasets.text.super_glue"), "tf", tf),
        (importlib.import_module("tensorflow_datasets.core.download.extractor"), "tf", tf),
        # Nested sequences (MRQA) ask for the TensorFlow type where the numpy type serves.
        (tensor_info, "dtype", property(lambda self: self.np_dtype)),
    ]
    before = [vars(owner)[name] for owner, name, _ in places]
    try:
        for owner, name, value in places:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(places, before, strict=True):
            setattr(owner, name, value)
