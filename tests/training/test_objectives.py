"""Span corruption and prefix LM: nothing is lost, and the counts are those of T5."""

import collections
import itertools

import numpy as np
import pytest

from prompt_tuning.training.objectives import (
    noise_counts,
    noise_mask,
    prefix_lm,
    span_corruption,
    span_lengths,
)

EOS, SENTINELS = 1, list(range(999, 899, -1))


def rng(seed=0):
    return np.random.default_rng(seed)


def restored(inputs, targets):
    """The original tokens: each sentinel of the input replaced by what follows it in the target."""
    spans, current = {}, None
    for token in targets[:-1]:
        if token in SENTINELS:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [t for token in inputs[:-1] for t in spans.get(token, [token])], spans


@pytest.mark.parametrize("length", [2, 3, 7, 17, 141, 568])
def test_inputs_and_targets_together_give_the_tokens(length):
    tokens = rng().integers(2, 900, (20, length)).astype(np.int32)
    inputs, targets = span_corruption(tokens, rng(1), SENTINELS, EOS)
    assert inputs.dtype == targets.dtype == np.int32
    noise, spans = noise_counts(length)
    for row, x, y in zip(tokens.tolist(), inputs.tolist(), targets.tolist(), strict=True):
        assert x[-1] == y[-1] == EOS
        original, hidden = restored(x, y)
        assert original == row
        # Sentinels in order, in input and target; the counts of T5.
        assert [t for t in x if t in SENTINELS] == SENTINELS[:spans] == list(hidden)
        assert sum(map(len, hidden.values())) == noise
        assert all(hidden.values())


def test_rows_are_full_without_padding():
    assert span_lengths(512) == (568, 114)  # T5
    for length in range(4, 300):
        tokens, target_length = span_lengths(length)
        row = np.full((1, tokens), 5, np.int32)
        inputs, targets = span_corruption(row, rng(), SENTINELS, EOS)
        assert (inputs.shape[1], targets.shape[1]) == (length, target_length)


def test_noise_density_and_mean_span():
    for length in (141, 568, 5000):
        mask = noise_mask(50, length, rng())
        assert abs(mask.mean() - 0.15) < 0.5 / length + 1e-9
        starts = mask[:, 1:] & ~mask[:, :-1]
        assert abs(mask.sum() / starts.sum() - 3.0) < 0.25
        assert not mask[:, 0].any()
        assert mask[:, -1].all()
        # Every place but the last few is hidden about as often as any other.
        share = mask[:, : length - 20].mean()
        assert abs(mask[:, : length // 2].mean() - share) < 0.02


def test_all_masks_are_equally_likely():
    length = 20
    noise, spans = noise_counts(length)
    assert (noise, spans) == (3, 1)
    assert {tuple(m) for m in noise_mask(9, length, rng())} == {(False,) * 17 + (True,) * 3}

    def counts(total):  # of two positive numbers
        return [(a, total - a) for a in range(1, total)]

    length = 37
    assert noise_counts(length) == (6, 2)
    possible = set()
    for (v0, v1), (h0, h1) in itertools.product(counts(31), counts(6)):
        possible.add((0,) * v0 + (1,) * h0 + (0,) * v1 + (1,) * h1)
    masks = noise_mask(30_000, length, rng()).astype(int).tolist()
    seen = collections.Counter(map(tuple, masks))
    assert set(seen) == possible
    expected = 30_000 / len(possible)
    chi2 = sum((n - expected) ** 2 / expected for n in seen.values())
    freedom = len(possible) - 1
    assert abs(chi2 - freedom) < 4 * (2 * freedom) ** 0.5


def test_a_prefix_and_its_continuation_are_the_text():
    texts = [np.arange(2, 2 + n, dtype=np.int32) for n in (1, 2, 9, 31, 32, 70)]
    inputs, targets = prefix_lm(texts, rng(), 32, EOS)
    joined = [[*x[:-1], *y[:-1]] for x, y in zip(inputs, targets, strict=True)]
    cut = [(0, 2), (0, 9), (0, 31), (0, 31), (0, 31), (31, 62), (62, 70)]  # 32 leaves one alone
    assert joined == [list(range(2 + a, 2 + b)) for a, b in cut]
    assert all(row[-1] == EOS for row in inputs + targets)
    assert all(2 <= len(row) <= 32 for row in inputs + targets)
    assert prefix_lm(texts[:1], rng(), 32, EOS) == ([], [])


def test_the_split_is_uniform():
    inputs, _ = prefix_lm([np.zeros(11, np.int32)] * 20_000, rng(), 128, EOS)
    lengths = collections.Counter(len(row) - 1 for row in inputs)
    assert set(lengths) == set(range(1, 11))
    assert all(abs(n - 2000) < 200 for n in lengths.values())


def test_the_last_token_alone_continues():
    texts = [np.arange(2, 2 + n, dtype=np.int32) for n in (1, 2, 9, 40)]
    inputs, targets = prefix_lm(texts, rng(), 32, EOS, last=True)
    assert targets == [[3, EOS], [10, EOS], [32, EOS], [41, EOS]]  # 40 are cut after 31
    assert inputs[1] == [*range(2, 10), EOS]


def test_the_same_generator_gives_the_same_rows():
    tokens = rng().integers(2, 900, (4, 141)).astype(np.int32)
    first = span_corruption(tokens, rng(5), SENTINELS, EOS)
    second = span_corruption(tokens, rng(5), SENTINELS, EOS)
    other = span_corruption(tokens, rng(6), SENTINELS, EOS)
    np.testing.assert_array_equal(np.hstack(first), np.hstack(second))
    assert (np.hstack(first) != np.hstack(other)).any()
