"""The prompt bundle: one safetensors file with the prompt and all that is known about it.

The file holds one float32 tensor, `prompt` [P, D]; its header holds strings only: the fields of
`Prompt` (position, template, metadata), the format's name and version, and a checksum of the
array, because safetensors itself does not notice a changed byte.
"""

import hashlib
import json
import pathlib
import struct

import numpy as np
import safetensors

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_file

FORMAT = "prompt_tuning.prompt"
VERSION = 1


def write_bundle(path: pathlib.Path, prompt_PD: np.ndarray, fields: dict[str, str]) -> None:
    """Write [P, D] float32 and its string fields to the file `path`, atomically."""
    about = {
        **fields,
        "format": FORMAT,
        "format_version": str(VERSION),
        "array_sha256": _digest(prompt_PD),
    }
    tensor = {"dtype": "F32", "shape": prompt_PD.shape, "data_offsets": [0, prompt_PD.nbytes]}
    # The library writes the header in random order; equal prompts shall be equal files.
    header = json.dumps({"__metadata__": about, "prompt": tensor}, sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the array begins at a multiple of 8, as the format asks
    data = np.ascontiguousarray(prompt_PD, "<f4").tobytes()
    write_file(path, struct.pack("<Q", len(header)) + header + data)


def read_bundle(path: pathlib.Path) -> tuple[np.ndarray, dict[str, str]]:
    """The prompt [P, D] and its string fields. Raises UserError on any other or damaged file."""
    tensors, fields = read_safetensors(path)
    if fields.pop("format", None) != FORMAT or list(tensors) != ["prompt"]:
        raise UserError(f"{path} is a safetensors file but not a prompt bundle")
    version = fields.pop("format_version", "")
    if version != str(VERSION):
        raise UserError(
            f"{path} has bundle version {version!r}, this program reads {VERSION}: update it"
        )
    if fields.pop("array_sha256", None) != _digest(tensors["prompt"]):
        raise UserError(f"{path} is damaged (its checksum differs): copy or save it again")
    return tensors["prompt"], fields


def read_safetensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every tensor and the string header of a safetensors file (bfloat16 included)."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names, fields = file.keys(), file.metadata() or {}
            # The library gives the fields in random order; what is written from them is not.
            return {name: file.get_tensor(name) for name in names}, dict(sorted(fields.items()))
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"cannot read {path} as safetensors: {error}") from error


def _digest(prompt_PD: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(prompt_PD).tobytes()).hexdigest()
