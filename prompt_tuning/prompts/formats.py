"""Other people's prompt files: `.npy`, T5X `numpy_checkpoints` and PEFT adapters, in and out;
PyTorch files of OpenPrompt and OpenDelta, in.

Every reader returns (array, string fields), every writer takes them, as in `bundle`. Only the
bundle keeps all fields; PEFT keeps the base's name, the folder of T5X the step, the others none.
"""

import io
import json
import logging
import pathlib
import re
from collections.abc import Collection

import numpy as np
import safetensors.numpy

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.bundle import read_safetensors
from prompt_tuning.prompts.files import write_file
from prompt_tuning.t5.torch_bin import TorchBin

log = logging.getLogger(__name__)

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
T5X_LEAF = "encoder.prompt.prompt.prompt"  # the parameter's path in the released code, dotted
TORCH_LEAVES = ("prompt_embeddings", "soft_embeds")  # PEFT; OpenPrompt and OpenDelta
PEFT_CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_BIN = "adapter_model.bin"  # older versions of PEFT


def detect_format(path: pathlib.Path) -> str:
    """The format of an existing prompt: "bundle", "npy", "t5x", "peft" or "torch", by content."""
    if path.is_dir():
        if (path / PEFT_CONFIG).is_file():
            return "peft"
        if _t5x_files(path):
            return "t5x"
        raise UserError(f"{path} holds neither {PEFT_CONFIG} nor numpy_checkpoints: no prompt")
    if not path.is_file():
        raise UserError(f"there is no prompt at {path}")
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if start.startswith(NPY_MAGIC):
        return "t5x" if path.name == T5X_LEAF else "npy"
    if path.name in (PEFT_WEIGHTS, PEFT_BIN) and (path.parent / PEFT_CONFIG).is_file():
        return "peft"
    if path.suffix == ".safetensors" or start[8:] == b"{":
        return "bundle"
    if start.startswith(ZIP_MAGIC):
        return "torch"
    raise UserError(
        f"{path} is not a prompt: expected a bundle, .npy, T5X numpy_checkpoints, a PEFT folder "
        "or a PyTorch file"
    )


# .npy: the released prompts


def write_npy(path: pathlib.Path, prompt_PD: np.ndarray, fields: dict[str, str]) -> None:
    """Write the bare array to the file `path`."""
    if fields.get("position", "prefix") != "prefix":
        log.warning("%s cannot say that its prompt belongs at %r", path, fields["position"])
    buffer = io.BytesIO()
    np.save(buffer, prompt_PD)
    write_file(path, buffer.getvalue())


def read_npy(path: pathlib.Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read a bare array."""
    try:
        return np.load(path, allow_pickle=False), {}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read {path} as .npy: {error}") from error


# T5X: numpy_checkpoints/checkpoint_{step}/encoder.prompt.prompt.prompt, npy bytes, no suffix


def write_t5x(path: pathlib.Path, prompt_PD: np.ndarray, fields: dict[str, str]) -> None:
    """Write into the model folder `path`, where the released code would have put this step."""
    step = fields.get("step", "0")
    if not step.isdecimal():
        raise UserError(f"a T5X checkpoint needs a whole number as its step, not {step!r}")
    write_npy(path / "numpy_checkpoints" / f"checkpoint_{step}" / T5X_LEAF, prompt_PD, fields)


def read_t5x(path: pathlib.Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read the last step of a model folder, one checkpoint folder, or the file itself."""
    files = [path] if path.is_file() else _t5x_files(path)
    if not files:
        raise UserError(f"{path} holds no {T5X_LEAF}")
    step = _t5x_step(files[-1].parent)
    return read_npy(files[-1])[0], {} if step is None else {"step": str(step)}


def _t5x_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The prompt files under a folder, by step. `checkpoint_5.tmp-...` is an interrupted save."""
    saved = [*folder.glob("checkpoint_*"), *folder.glob("numpy_checkpoints/checkpoint_*")]
    steps = sorted((step, path) for path in saved if (step := _t5x_step(path)) is not None)
    folders = [*(path for _, path in steps), folder]
    return [path / T5X_LEAF for path in folders if (path / T5X_LEAF).is_file()]


def _t5x_step(folder: pathlib.Path) -> int | None:
    match = re.fullmatch(r"checkpoint_(\d+)", folder.name)
    return int(match[1]) if match else None


# PEFT: a folder with adapter_config.json and adapter_model.safetensors


def write_peft(path: pathlib.Path, prompt_PD: np.ndarray, fields: dict[str, str]) -> None:
    """Write a PEFT prompt-tuning adapter for an encoder-decoder model into the folder `path`.

    One submodule: PEFT's default of two doubles the rows and never uses the second half. The
    base's own sizes (layers, heads) stay null; PEFT fills them in from the model it wraps.
    """
    if fields.get("position", "prefix") != "prefix":
        raise UserError(
            f"PEFT puts every prompt in front, this one belongs at {fields['position']!r}: "
            "save it as a bundle"
        )
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "SEQ_2_SEQ_LM",
        "base_model_name_or_path": fields.get("base_model"),
        "revision": fields.get("base_revision"),
        "inference_mode": True,
        "num_virtual_tokens": prompt_PD.shape[0],
        "num_transformer_submodules": 1,
        "token_dim": prompt_PD.shape[1],
        "num_layers": None,
        "num_attention_heads": None,
        "prompt_tuning_init": "RANDOM",  # TEXT would make PEFT fetch a tokenizer
    }
    weights = safetensors.numpy.save({"prompt_embeddings": prompt_PD}, metadata={"format": "pt"})
    write_file(path / PEFT_WEIGHTS, weights)
    write_file(path / PEFT_CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def read_peft(path: pathlib.Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read a PROMPT_TUNING or P_TUNING adapter: the rows of the first submodule, [P, D].

    PEFT saves [submodules * P, D]; on T5 only the first P rows are ever used.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / PEFT_CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind, length = config["peft_type"], int(config["num_virtual_tokens"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot read {file}: {error!r}") from error
    if kind not in ("PROMPT_TUNING", "P_TUNING"):
        raise UserError(f"{folder} is a {kind} adapter: only prompts of input embeddings are read")
    if (folder / PEFT_BIN).is_file() and not (folder / PEFT_WEIGHTS).exists():
        rows, _ = read_torch(folder / PEFT_BIN)
    else:
        tensors, _ = read_safetensors(folder / PEFT_WEIGHTS)
        rows = tensors[_prompt_name(folder / PEFT_WEIGHTS, tensors)]
    encoder_decoder = config.get("task_type") == "SEQ_2_SEQ_LM"
    submodules = config.get("num_transformer_submodules") or (2 if encoder_decoder else 1)
    if rows.shape[0] != length * submodules:
        raise UserError(
            f"{folder} is inconsistent: {rows.shape[0]} rows, but its configuration says "
            f"{length} virtual tokens x {submodules} submodules"
        )
    found = {"base_model": "base_model_name_or_path", "base_revision": "revision"}
    return rows[:length], {ours: config[name] for ours, name in found.items() if config.get(name)}


# PyTorch: a state dict, read without torch and without running its pickle


def read_torch(path: pathlib.Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read the one soft prompt of a file saved by OpenPrompt, OpenDelta or an old PEFT."""
    try:
        file = TorchBin(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    return file.read(_prompt_name(path, file.names)), {}


def _prompt_name(path: pathlib.Path, names: Collection[str]) -> str:
    """The one name that ends like a prompt's."""
    found = [name for name in names if name.split(".")[-1] in TORCH_LEAVES]
    if len(found) != 1:
        raise UserError(
            f"{path} has {len(found)} tensors called {' or '.join(TORCH_LEAVES)}, not 1"
        )
    return found[0]
