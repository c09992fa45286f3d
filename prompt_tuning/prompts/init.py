"""Initial prompts [P, D]: pure functions of a seed, the frozen embedding table and some text.

Random numbers come from numpy's Philox, so a prompt does not change with the version of JAX.
Letters: P prompt rows, D model width, N given rows.
"""

import dataclasses
import logging
import math
import os
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import (
    Position,
    Prompt,
    base_metadata,
    check_base,
    check_length,
    load_prompt,
)
from prompt_tuning.t5.load import FrozenT5

log = logging.getLogger(__name__)

Init = Literal[
    "uniform",  # U[-scale, scale), the paper's "random uniform"
    "uniform_released",  # U[0, scale), what the released code draws
    "normal",  # N(0, scale^2)
    "vocabulary",  # embeddings of sampled common tokens
    "class_labels",  # row i = mean embedding of label i's pieces, the rest as "vocabulary"
    "text",  # row i = embedding of piece i of a text, the rest as "vocabulary"
    "file",  # the rows of a saved prompt
]

# T5's vocabulary is ordered by frequency: "the 5,000 most common tokens" (paper section 3.2) are
# the first ids. As in the released code, pad, eos and unk are among them.
COMMON_TOKENS = 5000


@dataclasses.dataclass(frozen=True)
class PromptConfig:
    """A prompt to be: the keywords of `init_prompt`, except what differs by task and run."""

    length: int | None = 100  # virtual tokens; paper section 3.2. None: as long as the text or file
    init: Init = "class_labels"  # paper section 3.2
    position: Position = "prefix"  # paper section 2; "after_first", "suffix": the released code
    template: str | None = None  # for position "template": "{input} so {prompt}", say
    text: str | None = None  # for init "text" only
    shots: int = 0  # training examples behind that text, inputs with targets: few-shot design
    path: str | None = None  # for init "file" only: a prompt in any readable format
    scale: float | None = None  # None: 0.5 for both uniforms (paper 3.2), 1.0 for normal (as PEFT)
    force: bool = False  # take the rows of a file that was tuned on another base


def init_prompt(
    t5: FrozenT5,
    length: int | None = 100,
    init: str = "class_labels",
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    text: str | None = None,
    path: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    position: str = "prefix",
    template: str | None = None,
    force: bool = False,
) -> Prompt:
    """A new prompt for `t5`, float32 [length, d_model]; `Init` lists the initialisers (paper 3.2).

    "class_labels" needs `labels`, one row each; surplus labels are dropped and logged. "text"
    needs `text`; pieces beyond `length` are dropped and logged. "file" needs `path`, whose prompt
    must have exactly `length` rows and this base (unless `force`). Only "text" and "file" allow
    length None. Raises UserError.
    """
    if init not in get_args(Init):
        raise UserError(f"unknown prompt initialiser {init!r}: choose from {get_args(Init)}")
    for name, value, users in (
        ("text", text, ("text",)),
        ("path", path, ("file",)),
        ("scale", scale, ("uniform", "uniform_released", "normal")),
    ):
        if value is not None and init not in users:
            raise UserError(f"{name} is for initialiser {' or '.join(users)}, not for {init!r}")
    if length is not None:
        check_length(length)
    rng = np.random.Generator(np.random.Philox(seed))

    if init == "file":
        rows_PD = _file(t5, length, path, force)
    elif init == "text":
        rows_PD = _text(t5, rng, length, text)
    elif length is None:
        raise UserError(f"initialiser {init!r} needs a prompt length")
    elif init == "class_labels":
        rows_PD = _class_labels(t5, rng, length, labels)
    elif init == "vocabulary":
        rows_PD = _vocabulary(t5, rng, length)
    else:
        rows_PD = _random(rng, (length, t5.config.d_model), init, scale)
    metadata = {**base_metadata(t5), "init": init, "seed": str(seed)}
    return Prompt(rows_PD, position, template, metadata)


def _random(
    rng: np.random.Generator, shape: tuple[int, int], init: str, scale: float | None
) -> np.ndarray:
    if scale is None:
        scale = 1.0 if init == "normal" else 0.5
    if not (math.isfinite(scale) and scale > 0):
        raise UserError(f"the scale of a random prompt must be positive, not {scale}")
    if init == "normal":
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
    uniform_PD = rng.random(shape, dtype=np.float32) * np.float32(scale)  # [0, scale)
    return uniform_PD if init == "uniform_released" else uniform_PD * 2 - np.float32(scale)


def _vocabulary(t5: FrozenT5, rng: np.random.Generator, length: int) -> np.ndarray:
    """Rows of distinct common tokens; with repeats only if there are more rows than tokens."""
    common = min(COMMON_TOKENS, t5.tokenizer.size, t5.config.vocab_size)
    return _embed(t5, rng.choice(common, size=length, replace=length > common))


def _class_labels(
    t5: FrozenT5, rng: np.random.Generator, length: int, labels: Sequence[str] | None
) -> np.ndarray:
    if not labels:
        raise UserError("initialiser 'class_labels' needs labels: give them or choose 'vocabulary'")
    if len(labels) > length:
        log.warning("prompt length %d drops the labels %s", length, list(labels[length:]))
    given_ND = [_pieces(t5, label).mean(axis=0) for label in labels[:length]]
    return _fill(t5, rng, length, np.stack(given_ND))


def _text(
    t5: FrozenT5, rng: np.random.Generator, length: int | None, text: str | None
) -> np.ndarray:
    if not text:
        raise UserError("initialiser 'text' needs a text")
    given_ND = _pieces(t5, text)
    length = len(given_ND) if length is None else length
    check_length(length)
    if len(given_ND) > length:
        dropped = t5.tokenizer.pieces(t5.tokenizer.encode(text)[length:])
        log.warning("prompt length %d drops the end of the text: %s", length, dropped)
    return _fill(t5, rng, length, given_ND[:length])


def _file(
    t5: FrozenT5, length: int | None, path: str | os.PathLike[str] | None, force: bool
) -> np.ndarray:
    if path is None:
        raise UserError("initialiser 'file' needs the path of a prompt")
    prompt = load_prompt(path)
    check_base(prompt, t5, force)
    if length not in (None, prompt.length):
        raise UserError(
            f"{path} has {prompt.length} rows, the run asks for {length}: set the length to "
            f"{prompt.length} or to None"
        )
    return prompt.array


def _fill(t5: FrozenT5, rng: np.random.Generator, length: int, given_ND: np.ndarray) -> np.ndarray:
    """The given rows in front, sampled vocabulary behind: same seed, same tail as "vocabulary"."""
    rows_PD = _vocabulary(t5, rng, length)
    rows_PD[: len(given_ND)] = given_ND
    return rows_PD


def _pieces(t5: FrozenT5, text: str) -> np.ndarray:
    """Embeddings [N, D] of the pieces of a text, without EOS."""
    ids = t5.tokenizer.encode(text)
    if not ids:
        raise UserError(f"{text!r} has no tokens to initialise a prompt with")
    return _embed(t5, np.asarray(ids))


def _embed(t5: FrozenT5, ids_N: np.ndarray) -> np.ndarray:
    """Rows of the frozen table, float32 (the table may be bfloat16, on any device)."""
    return np.array(t5.params["token_embedder"]["embedding"][ids_N.astype(np.int32)], np.float32)
