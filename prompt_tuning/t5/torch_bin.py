"""Reads `pytorch_model.bin` without torch and without running what a pickle may ask for.

Since version 1.6 `torch.save` writes a zip archive: a pickle that names the tensors, and one
uncompressed member with the bytes of each storage (torch/serialization.py). The pickle is read with
the few names a dictionary of tensors needs; every other name is refused. Storages are mapped from
the file, and their checksums are verified when a tensor of theirs is read.
"""

import collections
import io
import math
import mmap
import pathlib
import pickle
import struct
import zipfile
import zlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from prompt_tuning.errors import UserError

_STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
_LOCAL_HEADER = 30  # bytes before the name of a zip member; the lengths of name and extra end it


class _Storage(NamedTuple):
    key: str  # the member is PREFIX/data/KEY
    dtype: np.dtype


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # of the first element; this and the strides in elements
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """What the pickle calls as `torch._utils._rebuild_tensor_v2`; the rest is about gradients."""
    numbers = [offset, *shape, *strides]
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("a tensor without a storage")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor with odd sizes")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]  # not callable: it can only name the type of a storage
        raise UserError(
            f"its pickle asks for {module}.{name}, which weights do not need and which could run "
            "code; refused, convert the file to safetensors where you trust it"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or type(key) is not str:
            raise pickle.UnpicklingError("a storage of unknown form")
        return _Storage(key, dtype)


class TorchBin:
    """The tensors of one file by name: `names`, and `read(name)`, an array over the mapped file.

    Raises UserError for another format, a pickle with anything but tensors, damaged content.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
                pickles = [name for name in self._members if name.endswith("/data.pkl")]
                if len(pickles) != 1:
                    raise UserError(f"{path}: no single data.pkl inside; not a PyTorch file")
                self._prefix = pickles[0].removesuffix("data.pkl")
                content = archive.read(pickles[0])
                order = self._prefix + "byteorder"
                if order in self._members and archive.read(order) != b"little":
                    raise UserError(f"{path}: big-endian weights are not supported")
        except zipfile.BadZipFile as error:
            raise UserError(f"{path}: {self._why_no_zip()}") from error
        self._tensors = self._unpickle(content)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._storages: dict[_Storage, np.ndarray] = {}
        self.names = set(self._tensors)

    def _why_no_zip(self) -> str:
        with self.path.open("rb") as file:
            start = file.read(2)
        if start == b"PK":
            return "the file is truncated or damaged; fetch it again"
        if start[:1] == b"\x80":
            return (
                "a pickle in the format of PyTorch before 1.6, which is refused; save it anew "
                "with a newer PyTorch, or convert it to safetensors"
            )
        return "not a PyTorch weights file"

    def _unpickle(self, content: bytes) -> dict[str, _Tensor]:
        try:
            state = _Unpickler(io.BytesIO(content)).load()
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None
        except Exception as error:  # a damaged pickle can raise nearly anything
            raise UserError(f"{self.path}: its pickle is damaged ({error})") from error
        if not isinstance(state, dict):
            raise UserError(f"{self.path}: holds a {type(state).__name__}, not named tensors")
        for name, value in state.items():
            if type(name) is not str or not isinstance(value, _Tensor):
                raise UserError(f"{self.path}: {name!r} is not a tensor; expected weights alone")
        return state

    def _storage(self, storage: _Storage) -> np.ndarray:
        if storage in self._storages:
            return self._storages[storage]
        info = self._members.get(f"{self._prefix}data/{storage.key}")
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{self.path}: data/{storage.key} is missing or compressed")
        lengths = self._map[info.header_offset + 26 : info.header_offset + _LOCAL_HEADER]
        start = info.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", lengths))
        content = memoryview(self._map)[start : start + info.file_size]
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise UserError(f"{self.path}: data/{storage.key} is damaged; fetch the file again")
        if info.file_size % storage.dtype.itemsize:
            raise UserError(f"{self.path}: data/{storage.key} is not a whole number of elements")
        self._storages[storage] = np.frombuffer(content, storage.dtype)
        return self._storages[storage]

    def read(self, name: str) -> np.ndarray:
        """One tensor, read-only, without copying it."""
        storage, offset, shape, strides = self._tensors[name]
        flat = self._storage(storage)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if math.prod(shape) and last >= len(flat):
            raise UserError(f"{self.path}: {name} reaches outside its storage")
        if not math.prod(shape):
            return np.empty(shape, flat.dtype)
        steps = tuple(step * flat.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
