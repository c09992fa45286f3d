"""A soft prompt: its rows, where they go, what is known about them; saved, loaded, checked."""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from jax import dtypes

from prompt_tuning.errors import UserError
from prompt_tuning.prompts import bundle, formats
from prompt_tuning.t5.load import FrozenT5

log = logging.getLogger(__name__)

Position = Literal["prefix", "after_first", "suffix", "template"]

# Eight times the input length T5 was pre-trained with; the paper's longest prompt has 150 rows.
MAX_LENGTH = 4096

READERS = {
    "bundle": bundle.read_bundle,
    "npy": formats.read_npy,
    "t5x": formats.read_t5x,
    "peft": formats.read_peft,
    "torch": formats.read_torch,
}
WRITERS = {
    "bundle": bundle.write_bundle,
    "npy": formats.write_npy,
    "t5x": formats.write_t5x,
    "peft": formats.write_peft,
}
RESERVED = ("position", "template", "format", "format_version", "array_sha256")


@dataclasses.dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt [P, D] in float32, 1 <= P <= MAX_LENGTH, kept as a read-only copy.

    `position`: "prefix" (the paper), "after_first" (after the first token), "suffix" (before EOS)
    or "template": where `template`, which holds {prompt} and {input} once each, says "{prompt}";
    without a template, where the task's own has {prompt}. `metadata` holds strings; those in use:
    base_model, base_revision, base_fingerprint, tokenizer_hash (see `base_metadata`), init, seed,
    task, text_format, sentinel, metric, score, step, run_id. Raises UserError on anything else.
    """

    array: np.ndarray
    position: str = "prefix"
    template: str | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        array = np.array(self.array, order="C")
        if array.ndim != 2 or array.dtype != np.float32:
            raise UserError(
                f"a prompt is a float32 matrix [length, d_model], not {array.dtype} "
                f"of shape {array.shape}"
            )
        check_length(array.shape[0])
        if not np.isfinite(array).all():
            raise UserError("a prompt must be finite, this one holds NaN or infinity")
        check_position(self.position, self.template)
        for key, value in self.metadata.items():
            if not isinstance(value, str) or key in RESERVED:
                raise UserError(f"metadata {key!r}: {value!r} is not a string or the key is taken")
        array.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "metadata", dict(self.metadata))

    @property
    def length(self) -> int:
        """P, the number of virtual tokens."""
        return self.array.shape[0]

    @property
    def sentinel(self) -> bool:
        """Whether its metadata say that outputs begin with <extra_id_0> (`Run.sentinel`)."""
        return "sentinel" in self.metadata

    def save(self, path: str | os.PathLike[str], format: str = "bundle") -> None:
        """Write the prompt to `path`: a file ("bundle", "npy") or a folder ("t5x", "peft").

        An interrupted save leaves the old file. Only a bundle keeps position and metadata.
        Raises UserError: an unwritable path, for peft a position that it cannot express (npy and
        t5x log a warning).
        """
        fields = {**self.metadata, "position": self.position}
        if self.template is not None:
            fields["template"] = self.template
        _check_format(format, WRITERS)
        WRITERS[format](pathlib.Path(path), self.array, fields)


def load_prompt(path: str | os.PathLike[str], format: str | None = None) -> Prompt:
    """Read a prompt; the format is found out unless named.

    Reads bundles, `.npy` (the released prompts), T5X `numpy_checkpoints` (a file or any folder
    above it: the last step), PEFT folders and PyTorch files of OpenPrompt and OpenDelta. Rows in
    half precision become float32. Raises UserError, with the path, on anything but a sound prompt.
    """
    path = pathlib.Path(path)
    format = format or formats.detect_format(path)
    _check_format(format, READERS)
    rows, fields = READERS[format](path)
    if not dtypes.issubdtype(rows.dtype, np.floating):  # knows bfloat16, numpy's does not
        raise UserError(f"{path} holds {rows.dtype} numbers: a prompt is made of floats")
    position, template = fields.pop("position", "prefix"), fields.pop("template", None)
    try:
        return Prompt(rows.astype(np.float32), position, template, fields)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def base_metadata(t5: FrozenT5) -> dict[str, str]:
    """What identifies a base model, as metadata for the prompts tuned on it."""
    known = {
        "base_model": t5.name,
        "base_revision": t5.revision,
        "base_fingerprint": t5.fingerprint,
        "tokenizer_hash": t5.tokenizer.hash,  # "" where the model has none
    }
    return {key: value for key, value in known.items() if value}


def check_base(prompt: Prompt, t5: FrozenT5, force: bool = False) -> None:
    """Raise UserError, with the reason, unless the prompt was made for this base.

    Compares the width and, where the metadata has them (a bare `.npy` has none), the fingerprint
    of the configuration and embedding table and the tokenizer's hash. `force` turns all but the
    width into a warning.
    """
    width = prompt.array.shape[1]
    if width != t5.config.d_model:
        raise UserError(
            f"the prompt is {width} wide but {t5.name} has d_model {t5.config.d_model}: "
            "it can only be used with a base of its own width"
        )
    known = prompt.metadata
    if "base_fingerprint" in known and known["base_fingerprint"] != t5.fingerprint:
        reason = "its configuration or embedding table differs"
    elif t5.tokenizer.hash and known.get("tokenizer_hash", t5.tokenizer.hash) != t5.tokenizer.hash:
        reason = "its tokenizer differs"
    else:
        return
    base = known.get("base_model", "another base")
    message = f"the prompt was made for {base}, and {t5.name} is not that model: {reason}"
    if not force:
        raise UserError(f"{message}; load its own base, or force it")
    log.warning("%s; forced", message)


def check_length(length: int) -> None:
    """Raise UserError unless 1 <= length <= MAX_LENGTH."""
    if not 1 <= length <= MAX_LENGTH:
        raise UserError(f"prompt length {length} is outside 1 to {MAX_LENGTH}")


def check_position(position: str, template: str | None) -> None:
    """Raise UserError unless the position is known and any template is sound and used."""
    if position not in get_args(Position):
        raise UserError(f"unknown position {position!r}: choose from {get_args(Position)}")
    if template is None:
        return
    if position != "template":
        raise UserError(f"a template is only used at position 'template', not at {position!r}")
    if template.count("{prompt}") != 1 or template.count("{input}") != 1:
        raise UserError(f"template {template!r} must hold {{prompt}} and {{input}} once each")


def _check_format(format: str, known: Iterable[str]) -> None:
    if format not in known:
        raise UserError(f"unknown prompt format {format!r}: choose from {tuple(known)}")
