"""The reader of PyTorch files against files spelled out byte by byte, and against abuse."""

import os
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.t5.torch_bin import TorchBin


@pytest.fixture
def arrays():
    big = np.arange(24, dtype=np.float32).reshape(4, 6)
    return {
        "plain": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
        "half": np.array([1.5, -2.0], jnp.bfloat16),
        "small": np.array([[0.5]], np.float16),
        "whole": big,
        "view": big[1:, ::2],  # an offset and strides of its own in the storage of "whole"
        "transposed": big.T,
        "ids": np.array(7, np.int64),
        "none": np.empty((0, 3), np.float32),
    }


def test_reads_every_type_and_layout_bit_for_bit(tmp_path, write_torch, arrays):
    write_torch(tmp_path / "x.bin", arrays)
    file = TorchBin(tmp_path / "x.bin")
    assert file.names == set(arrays)
    for name, array in arrays.items():
        got = file.read(name)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
    assert np.shares_memory(file.read("whole"), file.read("view"))
    assert not file.read("whole").flags.writeable


def _calls(call: bytes) -> bytes:
    return b"\x80\x02" + call + b"."


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (_calls(b"cos\nsystem\n(X\x0e\x00\x00\x00touch executedtR"), "os.system"),
        (_calls(b"cbuiltins\neval\n(X\x01\x00\x00\x001tR"), "builtins.eval"),
        (_calls(b"ctorch\nload\n."), "torch.load"),
        (_calls(b"ctorch._utils\n_rebuild_parameter\n"), "torch._utils._rebuild_parameter"),
        (_calls(b"cnumpy\nload\n"), "numpy.load"),
        (_calls(b"cprompt_tuning.t5.load\nsave_t5\n"), "prompt_tuning.t5.load.save_t5"),
        # Protocol 4 spells names in another way.
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (_calls(b"(X\x04\x00\x00\x00trueios\nsystem\n"), "os.system"),  # INST
    ],
)
def test_a_malicious_pickle_is_refused_by_name_and_not_run(
    tmp_path, write_torch, monkeypatch, content, named
):
    monkeypatch.chdir(tmp_path)
    write_torch(tmp_path / "x.bin", {}, content=content)
    with pytest.raises(UserError, match=f"asks for {named}, .*refused"):
        TorchBin(tmp_path / "x.bin")
    assert not (tmp_path / "executed").exists()


class _Attack:
    def __reduce__(self):
        return os.system, ("touch executed",)


def test_an_attack_as_python_would_pickle_it_is_refused(tmp_path, write_torch, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"shared.weight": _Attack()}, protocol)
        write_torch(tmp_path / "x.bin", {}, content=content)
        with pytest.raises(UserError, match="system"):
            TorchBin(tmp_path / "x.bin")
    assert not (tmp_path / "executed").exists()


def _persistent(*values: object) -> bytes:
    return pickle.dumps(values, 2)[:-1] + b"Q."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\x80\x02", "damaged"),
        (pickle.dumps(["not", "named"], 2), "holds a list"),
        (pickle.dumps({"epoch": 3}, 2), "'epoch' is not a tensor"),
        (pickle.dumps({3: 3}, 2), "3 is not a tensor"),
        (_persistent("storage", 3, "0", "cpu", 2), "damaged"),
        (_persistent("file", "a"), "damaged"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "damaged"),  # a type of storage cannot be called
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02))tR.", "damaged"),
    ],
)
def test_pickles_that_are_no_weights(tmp_path, write_torch, content, message):
    write_torch(tmp_path / "x.bin", {}, content=content)
    with pytest.raises(UserError, match=message):
        TorchBin(tmp_path / "x.bin")


def test_damage_is_noticed(tmp_path, write_torch, arrays):
    path = tmp_path / "x.bin"
    write_torch(path, arrays, damage=True)
    file = TorchBin(path)
    with pytest.raises(UserError, match="data/0 is damaged"):
        file.read("plain")
    write_torch(path, arrays, compress=True)
    with pytest.raises(UserError, match="missing or compressed"):
        TorchBin(path).read("plain")
    write_torch(path, arrays, byteorder=b"big")
    with pytest.raises(UserError, match="big-endian"):
        TorchBin(path)
    write_torch(path, arrays)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"truncated|not a PyTorch"):
            TorchBin(path)


def test_a_tensor_may_not_reach_outside_its_storage(tmp_path, write_torch):
    array = np.zeros(4, np.float32)
    write_torch(tmp_path / "x.bin", {"inside": array})
    content = zipfile.ZipFile(tmp_path / "x.bin").read("archive/data.pkl")
    shape = b"(J\x04\x00\x00\x00t"
    assert content.count(shape) == 1
    content = content.replace(shape, b"(J\x05\x00\x00\x00t")
    write_torch(tmp_path / "x.bin", {"inside": array}, content=content)
    with pytest.raises(UserError, match="reaches outside"):
        TorchBin(tmp_path / "x.bin").read("inside")
    negative = content.replace(b"(J\x05\x00\x00\x00t", b"(J\xff\xff\xff\xfft")
    write_torch(tmp_path / "x.bin", {"inside": array}, content=negative)
    with pytest.raises(UserError, match="odd sizes"):
        TorchBin(tmp_path / "x.bin")


def test_other_formats_are_told_apart(tmp_path):
    path = tmp_path / "x.bin"
    # Before 1.6 torch.save wrote a bare pickle that starts with a magic number.
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
    with pytest.raises(UserError, match=r"before 1\.6"):
        TorchBin(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="not a PyTorch weights file"):
        TorchBin(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", b"hello")
    with pytest.raises(UserError, match=r"no single data\.pkl"):
        TorchBin(path)
