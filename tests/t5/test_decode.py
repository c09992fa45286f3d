"""Cached decoding against plain full passes, beams against exhaustive search."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import decode
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.decode import beam_search, greedy, score_targets, shift_right, start_cache
from prompt_tuning.t5.model import T5, init_params

CONFIG = T5Config(
    vocab_size=11,
    d_model=16,
    d_kv=4,
    d_ff=32,
    num_layers=2,
    num_decoder_layers=3,
    num_heads=2,
    num_buckets=8,
    max_distance=10,
)
MODEL = T5(CONFIG)


@pytest.fixture(scope="module")
def case():
    params = init_params(CONFIG, seed=3)
    # Sharper logits than at initialisation, so that sequences differ and some end early.
    params["decoder"]["logits_dense"]["kernel"] *= 4.0
    x = jax.random.normal(jax.random.key(1), (6, 9, 16))
    segments = jnp.asarray(np.arange(9)[None, :] < np.array([9, 9, 7, 5, 3, 1])[:, None], jnp.int32)
    encoded = MODEL.apply({"params": params}, x, segments, method="encode")
    return params, encoded, segments


@jax.jit
def _logits(params, ids, encoded, segments):
    ones = jnp.ones_like(ids)
    return MODEL.apply({"params": params}, ids, encoded, ones, segments, method="decode")


def test_greedy_equals_decoding_without_a_cache(case):
    params, encoded, segments = case
    got = np.asarray(greedy(MODEL, params, encoded, segments, 12))
    want = np.zeros((6, 12), np.int32)
    done = np.zeros(6, bool)
    for u in range(12):
        logits = _logits(params, shift_right(jnp.asarray(want)), encoded, segments)
        token = np.where(done, 0, np.argmax(logits[:, u], -1))
        want[:, u] = token
        done |= token == 1
    np.testing.assert_array_equal(got, want)
    assert len({tuple(row) for row in got}) > 1  # the case is not trivial


def test_few_tokens_are_generated_without_keys_and_values_of_the_encoder(case, monkeypatch):
    """With heads of 32, a cache of up to 16 tokens reads the encoder's output itself."""
    wide = dataclasses.replace(CONFIG, d_kv=32)
    model, params, (_, encoded, segments) = T5(wide), init_params(wide, seed=3), case
    params["decoder"]["logits_dense"]["kernel"] *= 4.0

    def found():
        assert set(start_cache(model, params, encoded, 6)) == {"self", cross}
        return greedy(model, params, encoded, segments, 6), *beam_search(
            model, params, encoded, segments, 6, 2
        )

    cross = "encoded"
    few = found()
    monkeypatch.setattr(decode, "few_queries", lambda *_: False)
    cross = "cross"
    for got, want in zip(few, found(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def _sequences(length: int) -> list[tuple[int, ...]]:
    """All sequences that end with EOS (1) within `length`."""
    tokens = [t for t in range(CONFIG.vocab_size) if t != 1]
    return [(*s, 1) for n in range(length) for s in itertools.product(tokens, repeat=n)]


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_a_wide_beam_finds_the_best_sequences_of_all(case, alpha):
    params, encoded, segments = case
    length = 3
    ids, scores = beam_search(MODEL, params, encoded, segments, length, beams=60, alpha=alpha)
    sequences = _sequences(length)
    logits = {}
    for u in range(length):  # the log-probabilities after every prefix, by full passes
        prefixes = list(itertools.product(range(CONFIG.vocab_size), repeat=u))
        decoder_ids = np.array([(0, *p) for p in prefixes], np.int32)
        for b in range(2):
            rows = len(prefixes)
            out = _logits(
                params,
                jnp.asarray(decoder_ids),
                jnp.repeat(encoded[b : b + 1], rows, 0),
                jnp.repeat(segments[b : b + 1], rows, 0),
            )
            out = np.asarray(jax.nn.log_softmax(out[:, -1]))
            logits.update({(b, p): out[i] for i, p in enumerate(prefixes)})
    for b in range(2):
        score = {
            s: sum(logits[b, s[:u]][s[u]] for u in range(len(s))) / ((5 + len(s)) / 6) ** alpha
            for s in sequences
        }
        best = sorted(score, key=lambda s: -score[s])[:5]
        for w, s in enumerate(best):
            assert tuple(ids[b, w])[: len(s)] == s
            np.testing.assert_allclose(scores[b, w], score[s], atol=1e-4)


def test_beams_that_never_end_have_the_scores_of_their_tokens(case):
    """At 20 tokens the length penalty is above 2: what has not ended must not seem ended."""
    params, encoded, segments = case
    table = params["token_embedder"]["embedding"].at[:, 0].set(50.0)  # rules the residual stream
    kernel = params["decoder"]["logits_dense"]["kernel"].at[0, 1].set(-1e6)
    params = {
        **params,
        "token_embedder": {"embedding": table},
        "decoder": {**params["decoder"], "logits_dense": {"kernel": kernel}},
    }
    length, alpha = 20, 0.6
    ids, scores = beam_search(MODEL, params, encoded, segments, length, beams=4, alpha=alpha)
    assert not (ids == 1).any()
    assert (scores > -1000).all()
    for w in range(4):
        logits = _logits(params, shift_right(ids[:, w]), encoded, segments)
        logp = jnp.take_along_axis(jax.nn.log_softmax(logits), ids[:, w, :, None], -1)
        want = logp.sum((1, 2)) / ((5 + length) / 6) ** alpha
        np.testing.assert_allclose(scores[:, w], want, rtol=1e-4)


def test_scores_equal_the_log_softmax_of_a_full_pass(case):
    params, encoded, segments = case
    targets = np.array([[[3, 4, 1], [5, 1, 0]]] * 6, np.int32)
    got = score_targets(MODEL, params, encoded, segments, jnp.asarray(targets))
    for n in range(2):
        inputs = shift_right(jnp.asarray(targets[:, n]))
        logp = np.asarray(jax.nn.log_softmax(_logits(params, inputs, encoded, segments)))
        length = int((targets[0, n] != 0).sum())
        want = sum(logp[:, u, targets[0, n, u]] for u in range(length))
        np.testing.assert_allclose(got[:, n], want, atol=1e-5)


def test_scoring_many_targets_needs_the_memory_of_one(case):
    params, encoded, segments = case

    def peak(number):
        targets = jnp.ones((6, number, 8), jnp.int32)
        call = jax.jit(lambda *args: score_targets(MODEL, *args))
        compiled = call.lower(params, encoded, segments, targets).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert peak(100) < 2 * peak(2)
