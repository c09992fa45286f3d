"""From texts to encoder rows: tokens, end of sequence, truncation, and the place of the prompt."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from prompt_tuning.prompts.marks import PROMPT_MARK
from prompt_tuning.prompts.table import prompt_index, split_template

Encode = Callable[[list[str]], list[list[int]]]

# Lengths that batches are padded to: few compiled shapes, at most a third of a row wasted.
BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)


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
    texts: Sequence[str], encode: Encode, *, max_length: int, eos_id: int = 1
) -> tuple[list[list[int]], int]:
    """Target ids of at most `max_length` each, EOS included, and how many were cut."""
    encoded = encode(list(texts))
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
