"""Reads and writes Hugging Face folders: safetensors or `.bin`, in one file or several."""

import dataclasses
import itertools
import json
import math
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from prompt_tuning.errors import UserError
from prompt_tuning.t5 import names
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.hf_config import config_from_hf, config_to_hf
from prompt_tuning.t5.layers import Params
from prompt_tuning.t5.torch_bin import TorchBin

SAFETENSORS, BIN = "model.safetensors", "pytorch_model.bin"
SHARD_BYTES = 5 * 10**9


class Checkpoint(Protocol):
    """Tensors by name, read one at a time."""

    names: set[str]

    def read(self, name: str) -> np.ndarray: ...


class SafetensorsFile:
    """The tensors of one safetensors file. Raises UserError where it is truncated or damaged."""

    def __init__(self, path: pathlib.Path):
        try:
            self._file = safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise UserError(f"{path}: truncated or not safetensors ({error})") from error
        self.names = set(self._file.keys())

    def read(self, name: str) -> np.ndarray:
        return self._file.get_tensor(name)


class Shards:
    """The tensors of several files, as an index file lists them."""

    def __init__(self, files: Mapping[str, Checkpoint]):
        self._files = files
        self.names = set(files)

    def read(self, name: str) -> np.ndarray:
        return self._files[name].read(name)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UserError where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object")
    return content


def _open_shards(index: pathlib.Path, kind: type[SafetensorsFile] | type[TorchBin]) -> Checkpoint:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index}: no weight_map")
    files: dict[str, Checkpoint] = {}
    for file in sorted(set(weight_map.values())):
        path = index.parent / file
        if path.parent != index.parent or not path.is_file():
            raise UserError(f"{index}: names the shard {file}, which is not in the folder")
        files[file] = kind(path)
        listed = {name for name, where in weight_map.items() if where == file}
        names.check_names(files[file].names, listed, str(path))
    return Shards({name: files[file] for name, file in weight_map.items()})


def has_weights(folder: pathlib.Path) -> bool:
    """Whether a folder holds weights that `open_weights` reads."""
    files = (SAFETENSORS, BIN)
    return any((folder / (file + end)).is_file() for file in files for end in ("", ".index.json"))


def open_weights(folder: pathlib.Path) -> Checkpoint:
    """The weights in a folder, safetensors first. Raises UserError where there are none."""
    for file, kind in ((SAFETENSORS, SafetensorsFile), (BIN, TorchBin)):
        if (folder / file).is_file():
            return kind(folder / file)
        if (folder / f"{file}.index.json").is_file():
            return _open_shards(folder / f"{file}.index.json", kind)
    raise UserError(f"{folder}: neither {SAFETENSORS} nor {BIN} (nor their index) is in the folder")


def _tied(config: T5Config, weights: Checkpoint) -> bool:
    """Whether the head is the embedding table, decided from the tensors.

    Without `lm_head` it is, where the file allows it. With an `lm_head` of other values it is not,
    whatever the file says: transformers 5 writes `tie_word_embeddings` true for every T5, and then
    does not tie such a head (`PreTrainedModel.tie_weights`).
    """
    if not config.tied_head or not {"lm_head.weight", "shared.weight"} <= weights.names:
        return config.tied_head
    return np.array_equal(weights.read("lm_head.weight"), weights.read("shared.weight"))


def read_hf(folder: pathlib.Path, dtype: np.dtype | None) -> tuple[T5Config, Params]:
    """Configuration and parameters of a Hugging Face folder; `dtype` None keeps the stored type.

    Strict both ways: every name that is missing or unexpected is counted in the UserError. Copies
    of the embedding table are accepted only where they equal it.
    """
    file = folder / "config.json"
    config = config_from_hf(read_json(file), str(file))
    weights = open_weights(folder)
    config = dataclasses.replace(config, tied_head=_tied(config, weights))
    expected = {tensor.hf for tensor in names.tensors(config)}
    copies = {name for name in names.HF_EMBEDDING_COPIES if name in weights.names}
    allowed = copies | set(names.HF_UNUSED) | ({"lm_head.weight"} if config.tied_head else set())
    names.check_names(weights.names - (allowed - expected), expected, str(folder))
    for name in sorted(copies):
        if not np.array_equal(weights.read(name), weights.read("shared.weight")):
            raise UserError(f"{folder}: {name} differs from shared.weight; no T5 has that")

    def read(tensor: names.Tensor) -> np.ndarray:
        array = weights.read(tensor.hf)
        return array.T if tensor.transposed else array

    return config, names.build_tree(config, read, dtype, str(folder))


def _shard_plan(config: T5Config, itemsize: int, max_bytes: int) -> list[list[names.Tensor]]:
    shards: list[list[names.Tensor]] = [[]]
    size = 0
    for tensor in names.tensors(config):
        nbytes = math.prod(tensor.shape) * itemsize
        if shards[-1] and size + nbytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += nbytes
    return shards


def write_hf(
    folder: pathlib.Path,
    config: T5Config,
    params: Params,
    dtype: np.dtype,
    max_bytes: int = SHARD_BYTES,
) -> None:
    """Writes `config.json` and the safetensors into an existing folder, one shard in memory."""
    raw_config = config_to_hf(config) | {"dtype": dtype.name}
    write_json(folder / "config.json", raw_config)
    shards = _shard_plan(config, dtype.itemsize, max_bytes)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors" if shards[1:] else SAFETENSORS
        arrays = {}
        for path, group in itertools.groupby(shard, key=lambda tensor: tensor.path):
            leaf = np.asarray(names.leaf(params, path))
            for tensor in group:
                array = leaf if tensor.layer is None else leaf[tensor.layer]
                array = array.T if tensor.transposed else array
                arrays[tensor.hf] = np.ascontiguousarray(array.astype(dtype, copy=False))
        save_file(arrays, folder / file, metadata={"format": "pt"})
        # safetensors makes files that only their owner may read.
        shutil.copymode(folder / "config.json", folder / file)
        weight_map |= dict.fromkeys(arrays, file)
    if shards[1:]:
        total = sum(math.prod(tensor.shape) for shard in shards for tensor in shard)
        index = {"metadata": {"total_size": total * dtype.itemsize}, "weight_map": weight_map}
        write_json(folder / f"{SAFETENSORS}.index.json", index)


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
