"""`load_t5` and `save_t5`: a frozen T5 from a folder, the Hugging Face hub or a seed, and back."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
from typing import Literal, get_args

import huggingface_hub
import jax
import jax.numpy as jnp
import numpy as np
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RevisionResolutionError,
)
from safetensors import SafetensorError

from prompt_tuning.errors import UserError
from prompt_tuning.t5 import hf_weights, int8, names
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.layers import Params
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.runtime import keep_compiled
from prompt_tuning.t5.t5x import find_t5x, read_t5x
from prompt_tuning.t5.tokenizer import MissingTokenizer, Tokenizer, load_tokenizer

_TEXT_FILES = ("config.json", "spiece.model", "tokenizer.json", "tokenizer_config.json")
_SAFETENSORS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_BIN = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
# The pocket family: one Hugging Face folder a model, part of the package.
POCKET_MODELS = pathlib.Path(__file__).parent / "pocket_models"
# The types that weights are loaded as.
Dtype = Literal["float32", "bfloat16", "int8"]
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclasses.dataclass(frozen=True, eq=False)
class FrozenT5:
    """One T5 whose weights never change: what every prompt is trained against."""

    config: T5Config
    params: Params  # jax arrays, all of one dtype; but for int8 matrices with their scales
    tokenizer: Tokenizer  # a MissingTokenizer where the model has none
    name: str  # as given to load_t5
    revision: str | None = None  # the commit, for a model from the hub

    @property
    def dtype(self) -> np.dtype:
        """The type of activations and weights (those that are not int8), float32 or bfloat16."""
        return names.leaf(self.params, names.EMBEDDING).dtype

    @property
    def quantized(self) -> bool:
        """Whether the matrices of the layers are int8."""
        return int8.is_quantized(self.params)

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 that tells one base model from another: its architecture and embedding table.

        The table counts in bfloat16, so a checkpoint has one fingerprint whatever type it is loaded
        as, and dropout does not count, because it is no part of what a prompt was trained against.
        """
        config = dataclasses.asdict(dataclasses.replace(self.config, dropout_rate=0.0))
        table = np.asarray(names.leaf(self.params, names.EMBEDDING)).astype(jnp.bfloat16)
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        digest.update(table.tobytes())
        return digest.hexdigest()


def parse_dtype(dtype: str | None) -> np.dtype | None:
    """float32, bfloat16 or int8 by name; None stays None. Raises UserError for any other."""
    if dtype == "float16":
        raise UserError(
            "dtype float16 is refused: T5's activations overflow in it and give inf and nan; use "
            "bfloat16 or float32"
        )
    if dtype not in (None, *get_args(Dtype)):
        raise UserError(f"unknown dtype {dtype!r}; use {', '.join(get_args(Dtype))}")
    return None if dtype is None else np.dtype(jnp.dtype(dtype))


def load_t5(
    name_or_path: str | pathlib.Path,
    revision: str | None = None,
    dtype: str | None = None,
    *,
    tokenizer: str | pathlib.Path | None = None,
    max_distance: int | None = None,
) -> FrozenT5:
    """A frozen T5 with its weights on the default device.

    `name_or_path`: a Hugging Face folder, a T5X checkpoint (folder or file), a hub id such as
    "google/t5-small-lm-adapt", "pocket:SIZE" for a model of the pocket family ("pocket:SIZE@STEPS"
    after so many steps of LM adaptation, 0 before it), or "random:SIZE" for T5 1.1 with random
    weights from seed 0.
    `revision`: branch, tag or commit on the hub. `dtype`: "float32" or "bfloat16"; None keeps the
    stored type, except on CPU, where float32 is the faster one; "int8" quantises the matrices of
    the layers (see `t5.int8`) and leaves the rest float32 on CPU, bfloat16 elsewhere. `tokenizer`:
    a folder or file, in place of the model's own; a model may have none. `max_distance`: see
    `t5x.read_t5x`.
    Raises UserError for whatever is absent, damaged, incomplete or not a T5.
    """
    keep_compiled()
    name = str(name_or_path)
    wanted = parse_dtype(dtype)
    if wanted is None and jax.default_backend() == "cpu":
        wanted = np.dtype(np.float32)
    own = load_tokenizer(tokenizer) if tokenizer is not None else None
    if name.startswith("random:"):
        config, params = _random(name.removeprefix("random:"), wanted)
        return FrozenT5(config, params, own or MissingTokenizer(name, config.vocab_size), name)
    pocket = name.startswith("pocket:")
    path = pocket_folder(name) if pocket else pathlib.Path(os.path.expanduser(name))
    commit = None
    if not path.exists():
        path, commit = _from_hub(name, revision)
    elif revision is not None:
        raise UserError(f"revision {revision!r} is for hub ids, but {name} is on this machine")
    try:
        config, params = _read(path, wanted, max_distance)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if own is None and path.is_dir() and _has_tokenizer(path):
        own = load_tokenizer(path)
    if own is not None and own.size > config.vocab_size:
        raise UserError(
            f"{name}: the tokenizer has {own.size} pieces, the embedding table {config.vocab_size} "
            "rows; they do not belong together"
        )
    own = own or MissingTokenizer(name, config.vocab_size)
    return FrozenT5(config, params, own, name, commit)


def pocket_models() -> list[str]:
    """The names "pocket:..." that `load_t5` knows, from small to large."""

    def order(folder: pathlib.Path) -> tuple[int, str, float]:
        size, _, steps = folder.name.partition("@")
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return weights, size, float(steps or "inf")

    folders = [file.parent for file in POCKET_MODELS.glob("*/config.json")]
    return [f"pocket:{folder.name}" for folder in sorted(folders, key=order)]


def pocket_folder(name: str) -> pathlib.Path:
    """The Hugging Face folder of a model "pocket:..."; UserError if there is none of that name."""
    if name not in pocket_models():
        known = ", ".join(pocket_models()) or "none in this copy of the package"
        raise UserError(f"no model {name!r} in the pocket family; there are: {known}")
    return POCKET_MODELS / name.removeprefix("pocket:")


def _random(size: str, dtype: np.dtype | None) -> tuple[T5Config, Params]:
    if size not in SIZES:
        raise UserError(f"no size {size!r} of T5 1.1; use {', '.join(SIZES)}")
    config = SIZES[size]

    @jax.jit  # only the random numbers are computed, not the model they are drawn for
    def draw() -> Params:
        if dtype == np.int8:
            return int8.quantize_params(init_params(config), int8.rest_dtype())
        return jax.tree.map(lambda leaf: leaf.astype(dtype or leaf.dtype), init_params(config))

    return config, draw()


def _read(
    path: pathlib.Path, dtype: np.dtype | None, max_distance: int | None
) -> tuple[T5Config, Params]:
    if path.suffix in (".safetensors", ".bin"):
        raise UserError(f"{path}: name the folder, which also holds config.json, not the file")
    if path.is_dir() and hf_weights.has_weights(path):
        if max_distance is not None:
            raise UserError(f"{path}: max_distance is in config.json; it is for T5X checkpoints")
        return hf_weights.read_hf(path, dtype)
    checkpoint = find_t5x(path)
    if checkpoint is None:
        raise UserError(
            f"{path}: no T5 in this folder; expected config.json and model.safetensors or "
            "pytorch_model.bin (Hugging Face), or a file named checkpoint (T5X)"
        )
    return read_t5x(checkpoint, dtype, max_distance)


def _has_tokenizer(folder: pathlib.Path) -> bool:
    if any((folder / name).is_file() for name in ("spiece.model", "tokenizer.json")):
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and "ByT5Tokenizer" in config.read_text(encoding="utf-8")


def _from_hub(name: str, revision: str | None) -> tuple[pathlib.Path, str | None]:
    """The local copy of a hub repository, and its commit; `.bin` only where no safetensors are."""
    if not _HUB_ID.fullmatch(name):
        raise UserError(f"{name}: no such file or folder, and not the form of a hub id")
    folder = pathlib.Path()
    try:
        for weights in (_SAFETENSORS, _BIN):
            patterns = [*_TEXT_FILES, *weights]
            folder = pathlib.Path(
                huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=patterns)
            )
            if hf_weights.has_weights(folder):
                break
    except (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RevisionResolutionError,
        OSError,
    ) as error:
        at = f" at revision {revision}" if revision else ""
        raise UserError(
            f"{name}: no such folder here, and it cannot be had from the Hugging Face hub{at} "
            f"({_first_line(error)}); check the name and the network, or give a local folder"
        ) from error
    commit = folder.name if re.fullmatch("[0-9a-f]{40}", folder.name) else None
    return folder, commit


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def save_t5(
    t5: FrozenT5,
    folder: str | pathlib.Path,
    dtype: str | None = None,
    *,
    max_shard_bytes: int = hf_weights.SHARD_BYTES,
) -> None:
    """Writes a Hugging Face folder that `load_t5` and transformers read: all of it, or nothing.

    `dtype` None keeps that of the weights. Raises UserError where `folder` exists with content, or
    cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir()) or not folder.name):
        raise UserError(f"{folder}: already exists; name a new folder")
    wanted = parse_dtype(dtype) or t5.dtype
    if t5.quantized or wanted == np.int8:
        raise UserError("int8 weights are made while loading and not saved: use another dtype")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        hf_weights.write_hf(temporary, t5.config, t5.params, wanted, max_shard_bytes)
        t5.tokenizer.save(temporary)
        temporary.replace(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
