"""From texts to encoder rows: tokens, end of sequence, truncation, and the place of the prompt."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from prompt_tuning.prompts.marks import PROMPT_MARK
from prompt_tuning.prompts.table import prompt_index, split_template

Encode = Callable[[list[str]], list[list[int]]]

# Lengths that batches are padded to: few compiled shapes, at most a third of a row wasted.
BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)

# Rows of about so many ids spend as long on attention as on all the rest: T5 1.1 small on two CPU
# cores, estimated from whole steps. Wider models and accelerators spend less on it.
ATTENTION_LENGTH = 300
# What a batch, or a part of one, costs beside its rows, in ids times d_model: T5 1.1 small and the
# pocket family on two CPU cores; an accelerator's is an estimate.
BATCH_COST = 150_000
ACCELERATOR_BATCH_COST = 4_000_000


@dataclasses.dataclass(frozen=True)
class TextRow:
    """The token ids of one input (EOS included) and the index where its prompt goes."""

    ids: tuple[int, ...]
    at: int
    truncated: bool = False  # whether the text was longer than the limit

    def with_prompt(self, virtual: Sequence[int]) -> list[int]:
        """The encoder row: the text with the prompt's (virtual) ids in place."""
        return [*self.ids[: self.at], *virtual, *self.ids[self.at :]]


@dataclasses.dataclass(frozen=True)
class TextRows:
    """Tokenised inputs."""

    rows: list[TextRow]

    @property
    def truncated(self) -> int:
        """How many were longer than the limit."""
        return sum(row.truncated for row in self.rows)


def encode_inputs(
    texts: Sequence[str],
    encode: Encode,
    *,
    max_length: int,
    eos_id: int = 1,
    position: str = "prefix",
    template: str | None = None,
) -> TextRows:
    """Tokenise inputs to at most `max_length` ids each, EOS included and prompt excluded.

    Too long a text loses the end of whichever piece is longest ("template" has two pieces, others
    one) until it fits; EOS is kept, as in T5. Raises UserError for a template without its marks.
    """
    if position == "template":
        parts = [split_template(text, template) for text in texts]
    else:
        parts = [(text.replace(PROMPT_MARK, ""),) for text in texts]
    width = 2 if position == "template" else 1
    flat = encode([part for pair in parts for part in pair])
    rows = []
    for n in range(len(texts)):
        pieces = [list(piece) for piece in flat[n * width : (n + 1) * width]]
        surplus = sum(map(len, pieces)) + 1 - max_length
        for _ in range(surplus):
            max(pieces, key=len).pop()
        pieces[-1].append(eos_id)
        at = prompt_index(pieces, position)
        rows.append(TextRow(tuple(i for piece in pieces for i in piece), at, surplus > 0))
    return TextRows(rows)


def encode_targets(
    texts: Sequence[str],
    encode: Encode,
    *,
    max_length: int,
    eos_id: int = 1,
    start: Sequence[int] = (),
) -> tuple[list[list[int]], int]:
    """Target ids of at most `max_length` each, `start` and EOS included, and how many were cut."""
    encoded = [[*start, *ids] for ids in encode(list(texts))]
    cut = sum(len(ids) + 1 > max_length for ids in encoded)
    return [[*ids[: max_length - 1], eos_id] for ids in encoded], cut


def bucket(length: int) -> int:
    """The length that a batch whose longest row has `length` is padded to."""
    return next((size for size in BUCKETS if size >= length), -(-length // 1024) * 1024)


def pad_rows(rows: Sequence[Sequence[int]], length: int, pad_id: int = 0) -> np.ndarray:
    """Rows of ids as one int32 array `[B, length]`."""
    out = np.full((len(rows), length), pad_id, np.int32)
    for b, row in enumerate(rows):
        out[b, : len(row)] = row
    return out


def pack(lengths: Sequence[tuple[int, int]], limit: tuple[int, int]) -> list[list[int]]:
    """First-fit decreasing: items of (input, target) lengths into rows within both limits.

    The longest of both together come first; by input length alone, the rows of long inputs would
    leave their targets' half empty.
    """
    rows: list[list[int]] = []
    free: list[list[int]] = []
    for n in sorted(range(len(lengths)), key=lambda n: -sum(lengths[n])):
        size = lengths[n]
        fits = (r for r in range(len(rows)) if free[r][0] >= size[0] and free[r][1] >= size[1])
        r = next(fits, None)
        if r is None:
            r = len(rows)
            rows.append([])
            free.append(list(limit))
        rows[r].append(n)
        free[r][0] -= size[0]
        free[r][1] -= size[1]
    return rows


def pack_inputs(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """The inputs that share each row of `limit` ids; packed by the hundred, which is quick."""
    found = []
    for start in range(0, len(lengths), 128):
        part = [(n, 0) for n in lengths[start : start + 128]]
        found += [[start + n for n in row] for row in pack(part, (limit, 0))]
    return found


def packed_length(lengths: Sequence[int], group: int = 32) -> int:
    """The length of rows, a multiple of 32, in which examples are packed at the least cost.

    lengths: of the examples; group: how many are packed together. Longer rows waste fewer ids.
    """
    longest = -(-max(lengths) // 32) * 32
    some = lengths[: 8 * group]
    groups = [some[n : n + group] for n in range(0, len(some), group)]

    def total(length: int) -> float:
        return sum(row_cost(length) * len(pack_inputs(part, length)) for part in groups)

    return min(range(longest, 4 * longest + 1, max(32, longest // 256 * 32)), key=total)


def row_lengths(
    lengths: Sequence[int],
    count: int,
    saving: float = 0.05,
    few: bool = False,
    cost: Callable[[int, int], float] | None = None,
) -> list[int]:
    """At most `count` lengths, ascending, that rows of these lengths are padded to at least cost.

    saving: the share of the cost that one length more has to save, since each is compiled.
    few: take them from `BUCKETS`, which other calls have, too; otherwise from multiples of 8.
    cost: of so many rows of a length; that of `row_cost` for each if not given.
    """
    cost = cost or (lambda rows, length: rows * row_cost(length))
    sizes = sorted({bucket(n) if few else -(-n // 8) * 8 for n in lengths})
    ends = np.searchsorted(np.sort(lengths), sizes, "right").tolist()  # rows up to each size

    def between(first: int, last: int) -> float:
        """Of the rows longer than size `first` - 1 and up to size `last`, padded to that."""
        return cost(ends[last] - (ends[first - 1] if first else 0), sizes[last])

    best = [(between(0, last), [sizes[last]]) for last in range(len(sizes))]  # up to each size
    chosen = best[-1]
    for _ in range(count - 1):
        best = [
            min([(best[m][0] + between(m + 1, n), [*best[m][1], sizes[n]]) for m in range(n)]
                or [best[n]])
            for n in range(len(sizes))
        ]  # fmt: skip
        if best[-1][0] < (1 - saving) ** (len(best[-1][1]) - len(chosen[1])) * chosen[0]:
            chosen = best[-1]
    return chosen[1]


def batch_sizes(rows: int, most: int, extra: float = 4.0) -> tuple[int, int]:
    """The size of equal batches that hold so many rows, and their number, at the least cost.

    most: rows of a batch; extra: what one costs beside them, in rows. Few sizes occur, as each is
    compiled: powers of 2, above 8 multiples of it.
    """
    most = most // 8 * 8 if most > 8 else 1 << (most.bit_length() - 1)
    fewest = -(-rows // most)
    sizes = []
    for number in range(fewest, fewest + 3):
        share = -(-rows // number)
        size = -(-share // 8) * 8 if share > 8 else 1 << (share - 1).bit_length()
        sizes.append((size, number))
    return min(sizes, key=lambda pair: (pair[0] + extra) * pair[1])


def batch_cost(width: int) -> float:
    """What a batch costs beside its rows, in ids; width: d_model."""
    whole = BATCH_COST if jax.default_backend() == "cpu" else ACCELERATOR_BATCH_COST
    return whole / width


def row_cost(length: int) -> float:
    """What a row of so many ids costs, in ids: every id attends to a whole row."""
    return length * (1 + length / ATTENTION_LENGTH)
