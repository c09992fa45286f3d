"""Tiny models, and a writer of PyTorch files that shares no code with the reader."""

import struct
import zipfile
from collections.abc import Callable

import jax
import numpy as np
import pytest

from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.tokenizer import MissingTokenizer
from scripts.parity_cases import seeded_params

TINY = T5Config(
    vocab_size=40,
    d_model=8,
    d_kv=3,
    d_ff=10,
    num_layers=2,
    num_decoder_layers=3,
    num_heads=2,
    num_buckets=6,
    max_distance=9,
)
STORAGE = {"float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long"}


@pytest.fixture(scope="session")
def make_t5() -> Callable[..., FrozenT5]:
    """A model of the tiny configuration with the given fields, the same for the same fields."""

    def make(dtype: str = "float32", **fields: object) -> FrozenT5:
        config = T5Config(**(vars(TINY) | fields))
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), seeded_params(config))
        return FrozenT5(config, params, MissingTokenizer("tiny", config.vocab_size), "tiny")

    return make


@pytest.fixture(scope="session")
def assert_same() -> Callable[[FrozenT5, FrozenT5], None]:
    """Configuration and weights are equal bit for bit."""

    def check(got: FrozenT5, want: FrozenT5) -> None:
        assert got.config == want.config
        assert jax.tree.structure(got.params) == jax.tree.structure(want.params)
        for x, y in zip(jax.tree.leaves(got.params), jax.tree.leaves(want.params), strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(np.asarray(x), np.asarray(y))

    return check


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def _tensor(key: str, array: np.ndarray, base: np.ndarray, offset: int) -> bytes:
    storage = b"ctorch\n" + STORAGE[array.dtype.name].encode() + b"Storage\n"
    pid = _tuple(_text("storage"), storage, _text(key), _text("cpu"), _number(base.size)) + b"Q"
    shape = _tuple(*map(_number, array.shape))
    strides = _tuple(*(_number(step // array.itemsize) for step in array.strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = _tuple(pid, _number(offset), shape, strides, b"\x89", hooks)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


@pytest.fixture(scope="session")
def write_torch() -> Callable[..., None]:
    """Writes named arrays as `torch.save` does: pickle opcodes and zip members spelled out.

    An array that is a view keeps its strides and shares the storage of its base. `content` replaces
    the pickle, `compress` deflates the members, `damage` changes a byte of the first storage.
    """

    def write(path, arrays, *, content=None, compress=False, damage=False, byteorder=b"little"):
        bases: dict[int, tuple[str, np.ndarray]] = {}
        items = b""
        for name, array in arrays.items():
            base = array if array.base is None else array.base
            key, _ = bases.setdefault(id(base), (str(len(bases)), base))
            start = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            items += _text(name) + _tensor(key, array, base, start // array.itemsize)
        if content is None:
            content = b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."
        method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/byteorder", byteorder)
            for key, base in bases.values():
                archive.writestr(f"archive/data/{key}", base.tobytes())
            archive.writestr("archive/version", b"3\n")
        if damage:
            raw = bytearray(path.read_bytes())
            first = next(iter(bases.values()))[1].tobytes()
            raw[raw.index(first) + 1] ^= 1
            path.write_bytes(raw)

    return write
