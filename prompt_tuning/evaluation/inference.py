"""Batches of encoder rows through the frozen model: generated texts and label scores.

Every row carries its own prompt as virtual ids, so one batch mixes tasks, prompts and lengths.
Shape letters: B rows, T encoder length, U target length, E examples in a row, N labels, R prompts,
P prompt rows.
"""

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.rows import (
    batch_cost,
    batch_sizes,
    pack_inputs,
    packed_length,
    pad_rows,
    row_cost,
    row_lengths,
)
from prompt_tuning.prompts.prompt import Prompt, check_base
from prompt_tuning.prompts.table import embed, prompt_index
from prompt_tuning.t5.decode import beam_search, greedy, score_packed_targets
from prompt_tuning.t5.layers import Params
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.model import T5, apply

Places = collections.Counter[str]
TOKENS_PER_BATCH = 16_384  # encoder ids in one batch, prompts and padding included
SHAPES = 4  # row lengths of one call, at most: each is compiled
FEW = 64  # rows: for fewer, lengths are those that other calls have, too


def _encode(
    model: T5, params: Params, prompts_RPD: Array | None, ids_BT: Array, segments_BT: Array
) -> Array:
    x_BTD = embed(params["token_embedder"]["embedding"], prompts_RPD, ids_BT)
    return apply(model, params, x_BTD, segments_BT, method="encode")


@functools.partial(jax.jit, static_argnames=("model",))
def _forward(
    model: T5,
    params: Params,
    prompts_RPD: Array | None,
    ids_BT: Array,
    segments_BT: Array,
    decoder_ids_BU: Array,
) -> Array:
    encoded = _encode(model, params, prompts_RPD, ids_BT, segments_BT)
    ones = jnp.ones_like(decoder_ids_BU)
    return apply(model, params, decoder_ids_BU, encoded, ones, segments_BT, method="decode")


@functools.partial(jax.jit, static_argnames=("model", "max_length", "beams", "alpha"))
def _generate(
    model: T5,
    params: Params,
    prompts_RPD: Array | None,
    ids_BT: Array,
    segments_BT: Array,
    max_length: int,
    beams: int,
    alpha: float,
) -> Array:
    encoded = _encode(model, params, prompts_RPD, ids_BT, segments_BT)
    if beams == 1:
        return greedy(model, params, encoded, segments_BT, max_length)
    args = (model, params, encoded, segments_BT, max_length, beams, alpha)
    return beam_search(*args)[0][:, 0]


@functools.partial(jax.jit, static_argnames=("model", "examples"))
def _score(
    model: T5,
    params: Params,
    prompts_RPD: Array | None,
    ids_BT: Array,
    segments_BT: Array,
    targets_NU: Array,
    examples: int,
) -> Array:
    encoded = _encode(model, params, prompts_RPD, ids_BT, segments_BT)
    shape = (len(ids_BT), examples, *targets_NU.shape)
    targets_BENU = jnp.broadcast_to(targets_NU[None, None], shape)
    return score_packed_targets(model, params, encoded, segments_BT, targets_BENU)


def forward(
    t5: FrozenT5,
    input_ids: Any,
    decoder_input_ids: Any,
    prompt: Any = None,
    force: bool = False,
) -> Array:
    """Logits `[B, T, V]` float32 of decoder inputs `[B, T]` given inputs `[B, S]` (0 is padding).

    prompt: a `Prompt`, an array `[P, D]` put in front of every row (as in the paper), or an array
    `[B, P, D]` with a prompt for each row; gradients flow to an array. A `Prompt` goes to its own
    position ("template": needs text; use `predict`). Raises UserError for ids or prompts that do
    not fit, and for a `Prompt` made for another base unless `force`.
    """
    model = T5(t5.config, dtype=t5.dtype)
    inputs = _checked_ids(input_ids, "input_ids", t5.config.vocab_size)
    decoder_ids = _checked_ids(decoder_input_ids, "decoder_input_ids", t5.config.vocab_size)
    if len(inputs) != len(decoder_ids):
        raise UserError(
            f"{len(inputs)} rows of input_ids but {len(decoder_ids)} of decoder_input_ids"
        )
    rows = [[int(i) for i in row if i != t5.config.pad_id] for row in inputs]
    table = None
    if prompt is not None:
        position, array = "prefix", prompt
        if isinstance(prompt, Prompt):
            check_base(prompt, t5, force)
            position, array = prompt.position, prompt.array
        array = jnp.asarray(array, jnp.float32)
        table = array[None] if array.ndim == 2 else array
        fits = table.ndim == 3 and table.size > 0 and table.shape[2] == t5.config.d_model
        if not fits or len(table) not in (1, len(rows)):
            raise UserError(
                f"a prompt of shape {array.shape} does not fit {len(rows)} rows of a model with "
                f"d_model {t5.config.d_model}"
            )
        if position == "template":
            raise UserError("a prompt in a template needs the text: call predict")
        P = table.shape[1]
        for b, row in enumerate(rows):
            first = t5.config.vocab_size + (b if len(table) > 1 else 0) * P
            at = prompt_index([row], position)
            row[at:at] = range(first, first + P)
    length = max(1, *map(len, rows))
    ids = pad_rows(rows, length, t5.config.pad_id)
    segments = _segments(rows, length)
    return _forward(model, t5.params, table, ids, segments, decoder_ids)


def _checked_ids(given: Any, name: str, vocab_size: int) -> np.ndarray:
    """The given ids as int32 `[B, T]`, if they are that."""
    try:
        ids = np.asarray(given)
    except ValueError:  # rows of several lengths
        ids = np.empty(0)
    if ids.ndim != 2 or ids.size == 0 or not np.issubdtype(ids.dtype, np.integer):
        raise UserError(
            f"{name} must be whole numbers in one or more rows of equal length: pad them with 0"
        )
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise UserError(
            f"{name} must be from 0 to {vocab_size - 1}, not {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int32)


def _segments(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    lengths_B1 = np.array([len(row) for row in rows], np.int32)[:, None]
    return (np.arange(length)[None, :] < lengths_B1).astype(np.int32)


class _Part(NamedTuple):
    """A batch to be: the numbers of the examples in each row, how many rows, of which length."""

    rows: list[list[int]]
    size: int
    length: int

    def cost(self, width: int) -> float:
        return self.size * row_cost(self.length) + batch_cost(width)


def _sorted(lengths: Sequence[int], tokens_per_batch: int, width: int) -> list[_Part]:
    """An example a row, the longest first; batches of one length are of one size."""

    def batches(rows: int, length: int) -> tuple[int, int]:
        extra = batch_cost(width) / row_cost(length)
        return batch_sizes(rows, max(tokens_per_batch // length, 1), extra)

    def cost(rows: int, length: int) -> float:
        size, number = batches(rows, length) if rows else (0, 0)
        return number * (size * row_cost(length) + batch_cost(width))

    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    sizes = row_lengths(lengths, SHAPES, few=len(lengths) < FEW, cost=cost)
    parts: list[_Part] = []
    start = 0
    for length, below in zip(reversed(sizes), [*reversed(sizes[:-1]), 0], strict=True):
        end = sum(n > below for n in lengths)
        if start < end:  # not all of them have filled up longer batches
            size, number = batches(end - start, length)
            parts += _parts([[n] for n in order[start : start + size * number]], size, length)
            start += size * number
    return parts


def _packed(lengths: Sequence[int], tokens_per_batch: int) -> list[_Part]:
    """Examples that share rows of one length."""
    length = packed_length(lengths)
    rows = pack_inputs(lengths, length)
    size, _ = batch_sizes(len(rows), max(tokens_per_batch // length, 1))
    return _parts(rows, size, length)


def _parts(rows: list[list[int]], size: int, length: int) -> list[_Part]:
    return [_Part(rows[n : n + size], size, length) for n in range(0, len(rows), size)]


def _run(
    call: Callable[[np.ndarray, np.ndarray], Array],
    rows: Sequence[Sequence[int]],
    parts: Sequence[_Part],
    places: Places | None,
) -> list[np.ndarray]:
    """The result of each row, where `call` gives those of a batch as `[B, E, ...]`.

    The next batch is sent before one is read. places: counts `used` ids and `all` there was room
    for.
    """
    results: list[Any] = [None] * len(rows)
    pending: list[tuple[_Part, Array]] = []

    def collect() -> None:
        part, out = pending.pop(0)
        found = np.asarray(out)
        for b, numbers in enumerate(part.rows):
            for e, n in enumerate(numbers):
                results[n] = found[b, e]

    for part in parts:
        ids, segments = np.zeros((2, part.size, part.length), np.int32)
        for b, numbers in enumerate(part.rows):
            at = 0
            for segment, n in enumerate(numbers, start=1):
                end = at + len(rows[n])
                ids[b, at:end], segments[b, at:end] = rows[n], segment
                at = end
        if places is not None:
            places.update(used=int((segments > 0).sum()), all=segments.size)
        pending.append((part, call(ids, segments)))
        if len(pending) > 1:
            collect()
    while pending:
        collect()
    return results


def generate_ids(
    t5: FrozenT5,
    rows: Sequence[Sequence[int]],
    max_length: int,
    *,
    prompts_RPD: Any = None,
    beams: int = 1,
    alpha: float = 0.6,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    places: Places | None = None,
) -> list[np.ndarray]:
    """The ids `[max_length]` generated for each encoder row, padded after EOS.

    places: counts the encoder's ids, `used`, and `all` with padding.
    """
    model = T5(t5.config, dtype=t5.dtype)
    prompts = None if prompts_RPD is None else jnp.asarray(prompts_RPD)

    def call(ids: np.ndarray, segments: np.ndarray) -> Array:
        args = (model, t5.params, prompts, ids, segments, max_length, beams, alpha)
        return _generate(*args)[:, None]

    parts = _sorted([len(row) for row in rows], tokens_per_batch, t5.config.d_model)
    return _run(call, rows, parts, places)


def score_label_ids(
    t5: FrozenT5,
    rows: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    *,
    prompts_RPD: Any = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    places: Places | None = None,
) -> np.ndarray:
    """Log-likelihoods `[rows, N]` of N label texts (ids with EOS); one encoder pass a row.

    Examples are packed, or stand sorted in rows of their own, whichever costs less. places: counts
    the encoder's ids, `used`, and `all` with padding.
    """
    if not rows:
        return np.zeros((0, len(labels)), np.float32)
    model = T5(t5.config, dtype=t5.dtype)
    targets = pad_rows(labels, max(map(len, labels)))
    prompts = None if prompts_RPD is None else jnp.asarray(prompts_RPD)
    lengths = [len(row) for row in rows]
    width = t5.config.d_model
    ways = _sorted(lengths, tokens_per_batch, width), _packed(lengths, tokens_per_batch)
    parts = min(ways, key=lambda parts: sum(part.cost(width) for part in parts))
    examples = max(len(numbers) for part in parts for numbers in part.rows)

    def call(ids: np.ndarray, segments: np.ndarray) -> Array:
        return _score(model, t5.params, prompts, ids, segments, targets, examples)

    return np.stack(_run(call, rows, parts, places))
