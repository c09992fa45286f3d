"""T5's two pre-training objectives as functions of tokens and a random generator.

Both follow the released T5 preprocessors (t5/data/preprocessors.py): span corruption is
`random_spans_noise_mask` with `noise_span_to_unique_sentinel`, the objective of T5 1.1; the prefix
language model is `random_prefix_noise_mask`, the objective of the paper's LM adaptation.
Shape letters: B rows, L tokens a row, T encoder length, U decoder length.
"""

from collections.abc import Sequence

import numpy as np

NOISE_DENSITY = 0.15  # T5, section 3.4
MEAN_SPAN = 3.0


def noise_counts(length: int) -> tuple[int, int]:
    """How many of `length` tokens (2 or more) are hidden, and in how many spans."""
    noise = min(max(round(length * NOISE_DENSITY), 1), length - 1)
    return noise, max(round(noise / MEAN_SPAN), 1)


def span_lengths(inputs_length: int) -> tuple[int, int]:
    """(tokens, target length) of a row whose corrupted input has `inputs_length` ids, 4 or more.

    A span leaves one sentinel in the input and one in the target; both end with EOS. Rows of so
    many tokens need no padding (`random_spans_helper`): 512 ids come from 568 tokens.
    """

    def corrupted(tokens: int) -> int:
        noise, spans = noise_counts(tokens)
        return tokens - noise + spans + 1

    tokens = 2
    while corrupted(tokens + 1) <= inputs_length:
        tokens += 1
    return tokens, sum(noise_counts(tokens)) + 1


def noise_mask(rows: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Which tokens are hidden, bool `[rows, length]`; all masks of these counts equally likely.

    Spans alternate; a row begins with a visible one and ends with a hidden one.
    """
    noise, spans = noise_counts(length)

    def segment_lengths(count: int) -> np.ndarray:
        """`count` as a sum of `spans` positive numbers, `[rows, spans]`."""
        first = np.zeros((rows, count), np.int64)
        first[:, 1:spans] = 1
        first[:, 1:] = rng.permuted(first[:, 1:], axis=1)
        segment = first.cumsum(axis=1)
        return (segment[:, :, None] == np.arange(spans)[None, None, :]).sum(axis=1)

    visible, hidden = segment_lengths(length - noise), segment_lengths(noise)
    ends = np.stack([visible, hidden], axis=2).reshape(rows, 2 * spans).cumsum(axis=1)
    starts_before = (ends[:, None, :-1] <= np.arange(length)[None, :, None]).sum(axis=2)
    return starts_before % 2 == 1


def span_corruption(
    tokens_BL: np.ndarray, rng: np.random.Generator, sentinels: Sequence[int], eos_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `[B, T]`, where sentinel k stands for hidden span k, and targets `[B, U]`.

    A target is sentinel 0, span 0, sentinel 1, span 1 and so on, then EOS, which also ends the
    input. sentinels: the ids of <extra_id_0>, <extra_id_1> ..., one for each span or more.
    """
    B, L = tokens_BL.shape
    mask_BL = noise_mask(B, L, rng)
    marks = np.asarray(sentinels, tokens_BL.dtype)

    def keep(kept_BL: np.ndarray) -> np.ndarray:
        """The kept tokens, and one sentinel in place of each run of others, with EOS."""
        starts_BL = ~kept_BL
        starts_BL[:, 1:] &= kept_BL[:, :-1]
        number_BL = np.maximum(starts_BL.cumsum(axis=1) - 1, 0)
        ids_BL = np.where(starts_BL, marks[number_BL], tokens_BL)
        rows = ids_BL[kept_BL | starts_BL].reshape(B, -1)
        return np.pad(rows, ((0, 0), (0, 1)), constant_values=eos_id)

    return keep(~mask_BL), keep(mask_BL)


def prefix_lm(
    documents: Sequence[np.ndarray],
    rng: np.random.Generator,
    length: int,
    eos_id: int,
    last: bool = False,
) -> tuple[list[list[int]], list[list[int]]]:
    """Prefixes (inputs) and continuations (targets), each with EOS and of at most `length` ids.

    documents: tokens without EOS. Longer ones are cut into pieces of `length - 1`; a piece is split
    at a uniformly random place, at least one token on either side. Single tokens are left out.
    last: split before the last token instead.
    """
    size = length - 1
    pieces = [text[at : at + size] for text in documents for at in range(0, len(text), size)]
    pieces = [piece.tolist() for piece in pieces if len(piece) > 1]
    sizes = [len(piece) for piece in pieces]
    splits = [n - 1 for n in sizes] if last else rng.integers(1, sizes) if pieces else []
    inputs = [[*piece[:at], eos_id] for piece, at in zip(pieces, splits, strict=True)]
    targets = [[*piece[at:], eos_id] for piece, at in zip(pieces, splits, strict=True)]
    return inputs, targets
