"""Rows of any texts: within the limit, closed by EOS, the prompt where it belongs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.evaluation.rows import (
    BUCKETS,
    batch_sizes,
    encode_inputs,
    pack,
    pack_inputs,
    packed_length,
    row_cost,
    row_lengths,
)
from prompt_tuning.prompts.marks import PROMPT_MARK

EOS = 1
length = st.integers(0, 40)


def encode(texts: list[str]) -> list[list[int]]:
    """A character is a token."""
    return [[ord(c) for c in text] for text in texts]


@settings(max_examples=200, deadline=None)
@given(length, length, st.integers(1, 50))
def test_inputs_around_a_prompt_fit(before, after, limit):
    texts = ["b" * before + PROMPT_MARK + "a" * after]
    [row] = encode_inputs(texts, encode, max_length=limit, position="template").rows
    kept = (row.at, len(row.ids) - 1 - row.at)
    assert row.ids == (ord("b"),) * kept[0] + (ord("a"),) * kept[1] + (EOS,)
    assert row.truncated == (before + after + 1 > limit)
    if not row.truncated:
        assert kept == (before, after)
        return
    assert len(row.ids) == limit  # nothing is lost without need
    for own, other, whole in (*kept, before), (*kept[::-1], after):
        assert own == whole or (own < whole and other <= own + 1)  # only the longer one is cut


@pytest.mark.parametrize("position", ["prefix", "after_first", "suffix"])
@settings(max_examples=60, deadline=None)
@given(size=length, limit=st.integers(1, 50))
def test_inputs_beside_a_prompt_fit(position, size, limit):
    text = [chr(ord("a") + n) for n in range(size)]
    [row] = encode_inputs(["".join(text)], encode, max_length=limit, position=position).rows
    assert row.ids == (*map(ord, text[: limit - 1]), EOS)
    assert row.truncated == (size + 1 > limit)
    assert row.at == {"prefix": 0, "after_first": 1, "suffix": len(row.ids) - 1}[position]


def test_packing_loses_nothing_and_keeps_to_the_limits():
    rng = np.random.default_rng(4)
    sizes = [(int(a), int(b)) for a, b in zip(rng.integers(1, 30, 50), rng.integers(1, 6, 50),
                                              strict=True)]  # fmt: skip
    rows = pack(sizes, (40, 9))
    assert sorted(n for row in rows for n in row) == list(range(50))
    assert all(sum(sizes[n][0] for n in row) <= 40 for row in rows)
    assert all(sum(sizes[n][1] for n in row) <= 9 for row in rows)


def test_rows_of_examples_are_long_where_that_saves_padding_and_short_where_not():
    rng = np.random.default_rng(0)
    mixed = rng.integers(20, 200, 300).tolist()
    length = packed_length(mixed)
    layout = pack_inputs(mixed, length)
    assert sorted(n for row in layout for n in row) == list(range(300))
    assert all(sum(mixed[n] for n in row) <= length for row in layout)
    assert sum(mixed) / (len(layout) * length) > 0.9
    assert packed_length([60] * 40) == 64  # an example fills its row: attention decides
    assert packed_length([5]) == 32
    # The longest fits, wherever it stands.
    assert packed_length([*mixed, 700]) >= 700


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 4))
def test_row_lengths_fit_every_row_at_no_more_than_any_other_cut(lengths, count):
    def cost(sizes):
        return sum(row_cost(min(size for size in sizes if size >= n)) for n in lengths)

    found = row_lengths(lengths, count)
    assert len(found) <= count
    assert found == sorted(set(found))
    assert max(lengths) <= found[-1] < max(lengths) + 16
    one = [found[-1]]
    pairs = [sorted({*one, size}) for size in range(8, found[-1], 8) if size <= 64 or not size % 16]
    best = min(map(cost, [one, *pairs] if count > 1 else [one]))
    assert cost(found) * 0.95 <= best + 1e-6
    assert set(row_lengths(lengths, count, few=True)) <= set(BUCKETS)


@given(st.integers(1, 2000), st.integers(1, 500))
def test_batches_hold_all_rows_within_the_limit_and_are_hardly_filled_up(rows, most):
    size, number = batch_sizes(rows, most)
    assert 1 <= size <= most
    assert size * number >= rows
    assert size % 8 == 0 if size > 8 else size in (1, 2, 4, 8)
    if most >= 8:
        assert size * number < rows + 8 * number


def test_equal_batches_waste_less_than_full_ones_would():
    assert batch_sizes(33, 32) == (24, 2)  # not twice 32
    assert batch_sizes(64, 24) == (16, 4)  # not three times 24
    assert batch_sizes(3, 32) == (4, 1)
    assert batch_sizes(64, 24, extra=100) == (24, 3)  # where a batch itself is dear
