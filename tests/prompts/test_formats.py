import errno
import json
import os
import pathlib
import struct
import tempfile
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import Prompt, load_prompt

# Values that a detour over text, float64 or bfloat16 would change.
TINY = np.finfo(np.float32).smallest_subnormal
ODD = np.array([[0.1, -0.0, TINY], [3.4028235e38, -750.123, 1 / 3]], np.float32)
STEP = np.ones((2, 3), np.float32)
FORMATS = {"bundle": "p.safetensors", "npy": "p.npy", "t5x": "model", "peft": "adapter"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("named", [True, False])
def test_every_format_returns_the_same_bits(tmp_path, format, named):
    path = tmp_path / "new folder" / FORMATS[format]
    Prompt(ODD).save(path, format)
    read = load_prompt(path, format if named else None)
    assert read.array.tobytes() == ODD.tobytes()
    assert read.position == "prefix"


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(text.map("key {}".format), text))
def test_a_bundle_keeps_every_string(metadata):
    prompt = Prompt(ODD, "template", "café {prompt}\n“{input}”", metadata)
    with tempfile.TemporaryDirectory() as folder:
        prompt.save(f"{folder}/prompt")  # no suffix: the format is in the content
        read = load_prompt(f"{folder}/prompt")
    assert (read.position, read.template, read.metadata) == ("template", prompt.template, metadata)
    assert list(read.metadata) == sorted(metadata)  # always in one order
    assert read.array.tobytes() == ODD.tobytes()


def test_a_bundle_cut_anywhere_or_changed_in_its_numbers_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    Prompt(ODD, metadata={"task": "rte"}).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"p\.safetensors"):
            load_prompt(path)
    for at in range(len(whole) - ODD.nbytes, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(UserError, match="damaged"):
            load_prompt(path)


def test_safetensors_of_another_kind_and_later_bundles_are_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    path.write_bytes(safetensors.numpy.save({"prompt": ODD}))
    with pytest.raises(UserError, match="not a prompt bundle"):
        load_prompt(path)
    header = {"format": "prompt_tuning.prompt", "format_version": "2"}
    path.write_bytes(safetensors.numpy.save({"prompt": ODD}, metadata=header))
    with pytest.raises(UserError, match="version '2'"):
        load_prompt(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x00" * 40])
def test_files_that_are_no_prompt_are_named_in_one_line(tmp_path, content):
    for name in ("p.npy", "p.safetensors", "p.bin"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name) as error:
            load_prompt(tmp_path / name)
        assert "\n" not in str(error.value)


def test_missing_files_empty_folders_and_unknown_formats(tmp_path):
    with pytest.raises(UserError, match="no prompt at"):
        load_prompt(tmp_path / "absent.npy")
    with pytest.raises(UserError, match="no prompt"):
        load_prompt(tmp_path)
    for format in FORMATS:
        with pytest.raises(UserError):
            load_prompt(tmp_path / "absent", format)
    with pytest.raises(UserError, match="unknown prompt format 'gguf'"):
        load_prompt(tmp_path, "gguf")
    with pytest.raises(UserError, match="unknown prompt format 'gguf'"):
        Prompt(ODD).save(tmp_path / "p", "gguf")


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_npy_of_other_floats_becomes_float32(tmp_path, dtype):
    array = np.array([[0.5, -2.0]], dtype)
    np.save(tmp_path / "p.npy", array)
    assert np.array_equal(load_prompt(tmp_path / "p.npy").array, array.astype(np.float32))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((2, 2), np.int64), "int64 numbers"),
        (np.array([{}], object), "pickle"),
        (np.ones(4, np.float32), "float32 matrix"),
        (np.full((2, 2), np.nan, np.float32), "finite"),
    ],
)
def test_npy_of_anything_else_is_refused_with_its_path(tmp_path, array, reason):
    np.save(tmp_path / "p.npy", array)
    with pytest.raises(UserError, match=rf"p\.npy.*{reason}"):
        load_prompt(tmp_path / "p.npy")


def test_t5x_folder_gives_its_last_finished_step(tmp_path):
    for step in (900, 1000, 1_100_000):
        Prompt(STEP * step, metadata={"step": str(step)}).save(tmp_path, "t5x")
    checkpoints = tmp_path / "numpy_checkpoints"
    leaf = "encoder.prompt.prompt.prompt"
    for unfinished in ("checkpoint_2000000.tmp-17", "checkpoint_3000000"):
        (checkpoints / unfinished).mkdir()
    (checkpoints / "checkpoint_2000000.tmp-17" / leaf).write_bytes(b"")
    for path in (tmp_path, checkpoints):
        read = load_prompt(path)
        assert np.array_equal(read.array, STEP * 1_100_000)
        assert read.metadata == {"step": "1100000"}
    first = checkpoints / "checkpoint_900"
    assert np.array_equal(np.load(first / leaf), STEP * 900)
    for path in (first, first / leaf):
        assert np.array_equal(load_prompt(path).array, STEP * 900)
        assert load_prompt(path).metadata == {"step": "900"}
    with pytest.raises(UserError, match="whole number"):
        Prompt(ODD, metadata={"step": "../5"}).save(tmp_path, "t5x")


def write_adapter(folder: pathlib.Path, rows: np.ndarray, **config):
    folder.mkdir(exist_ok=True)
    weights = safetensors.numpy.save({"prompt_embeddings": rows}, metadata={"format": "pt"})
    (folder / "adapter_model.safetensors").write_bytes(weights)
    fields = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "SEQ_2_SEQ_LM",
        "num_virtual_tokens": 2,
        "base_model_name_or_path": "google/t5-v1_1-small",
        "revision": None,
    }
    (folder / "adapter_config.json").write_text(json.dumps({**fields, **config}))


@pytest.mark.parametrize("submodules", [2, None])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_peft_default_of_two_submodules_gives_the_first_half(tmp_path, submodules, dtype):
    doubled = np.concatenate([ODD / 3, np.full_like(ODD, 7)]).astype(dtype)
    write_adapter(tmp_path, doubled, num_transformer_submodules=submodules)
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        read = load_prompt(path)
        assert np.array_equal(read.array, doubled[:2].astype(np.float32))
        assert read.metadata == {"base_model": "google/t5-v1_1-small"}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"num_transformer_submodules": 1}, "4 rows.*2 virtual tokens x 1"),
        ({"num_virtual_tokens": 3, "num_transformer_submodules": 2}, "4 rows.*3 virtual tokens"),
        ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING adapter"),
        ({"peft_type": "LORA"}, "LORA adapter"),
        ({"num_virtual_tokens": None}, "cannot read"),
    ],
)
def test_peft_folders_that_do_not_add_up_are_refused(tmp_path, config, reason):
    write_adapter(tmp_path, np.concatenate([ODD, ODD]), **config)
    with pytest.raises(UserError, match=reason):
        load_prompt(tmp_path)


def test_peft_folder_with_a_broken_file_is_refused(tmp_path):
    write_adapter(tmp_path, ODD, num_transformer_submodules=1)
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors.numpy.save({"lora": ODD}))
    with pytest.raises(UserError, match=r"0 tensors called prompt_embeddings"):
        load_prompt(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        load_prompt(tmp_path)


def torch_file(path: pathlib.Path, tensors: dict[str, np.ndarray]):
    """What `torch.save(state_dict)` writes, spelt out in pickle opcodes."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    pickled = b"\x80\x02}"
    for key, (name, array) in enumerate(tensors.items()):
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
        storage += b"K" + bytes([array.size]) + b"tQ"
        shape = b"K" + bytes([array.shape[0]]) + b"K" + bytes([array.shape[1]]) + b"\x86"
        strides = b"K" + bytes([array.shape[1]]) + b"K\x01\x86"
        call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + strides
        pickled += text(name) + call + b"\x89ccollections\nOrderedDict\n)RtRs"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled + b".")
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())


@pytest.mark.parametrize("name", ["soft_embeds", "encoder.soft_prompt_layer.soft_embeds"])
def test_openprompt_and_opendelta_files_are_read_without_torch(tmp_path, name):
    torch_file(tmp_path / "p.bin", {"raw_embedding.weight": STEP, name: ODD})
    assert load_prompt(tmp_path / "p.bin").array.tobytes() == ODD.tobytes()
    torch_file(tmp_path / "model.bin", {"shared.weight": STEP})
    with pytest.raises(UserError, match=r"model\.bin has 0 tensors"):
        load_prompt(tmp_path / "model.bin")
    with pytest.raises(UserError, match="unknown prompt format 'torch'"):
        Prompt(ODD).save(tmp_path / "new.bin", "torch")


def test_peft_adapters_of_old_are_read_from_their_bin_file(tmp_path):
    write_adapter(tmp_path, ODD, num_transformer_submodules=1)
    (tmp_path / "adapter_model.safetensors").unlink()
    torch_file(tmp_path / "adapter_model.bin", {"prompt_embeddings": ODD})
    assert load_prompt(tmp_path).array.tobytes() == ODD.tobytes()


def test_peft_folder_written_here_has_one_submodule(tmp_path):
    Prompt(ODD, metadata={"base_model": "x", "base_revision": "y"}).save(tmp_path, "peft")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    expected = {
        "num_virtual_tokens": 2,
        "num_transformer_submodules": 1,
        "token_dim": 3,
        "inference_mode": True,
        "base_model_name_or_path": "x",
        "revision": "y",
    }
    assert config.items() >= expected.items()
    assert load_prompt(tmp_path).metadata == {"base_model": "x", "base_revision": "y"}


def test_formats_without_positions_say_so(tmp_path, caplog):
    prompt = Prompt(ODD, "suffix")
    with pytest.raises(UserError, match="PEFT puts every prompt in front"):
        prompt.save(tmp_path / "adapter", "peft")
    assert not (tmp_path / "adapter").exists()
    prompt.save(tmp_path / "p.npy", "npy")
    assert "cannot say that its prompt belongs at 'suffix'" in caplog.text


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_an_interrupted_save_leaves_the_old_prompt(
    tmp_path, monkeypatch, format, failure, function
):
    path = tmp_path / FORMATS[format]
    Prompt(ODD).save(path, format)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def fail(*_):
        raise failure

    monkeypatch.setattr(os, function, fail)
    with pytest.raises((UserError, KeyboardInterrupt)) as error:
        Prompt(ODD + 1).save(path, format)
    if isinstance(failure, OSError):
        assert isinstance(error.value, UserError)
        assert "No space left" in str(error.value)
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after == before


@pytest.mark.parametrize("format", FORMATS)
def test_an_unwritable_path_is_one_clear_line(tmp_path, format):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        Prompt(ODD).save(tmp_path / "file" / "p", format)


@pytest.mark.parametrize("task", ["sst2", "rte"])
def test_the_released_prompts_load(shared_data, tmp_path, task):
    path = shared_data / "t5" / "released_prompts" / f"{task}.npy"
    prompt = load_prompt(path)
    assert prompt.array.shape == (100, 768)
    for format in FORMATS:
        prompt.save(tmp_path / FORMATS[format], format)
        read = load_prompt(tmp_path / FORMATS[format])
        assert read.array.tobytes() == np.load(path).tobytes()
