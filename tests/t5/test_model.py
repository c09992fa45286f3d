"""Properties of the model: segments, padding, prompts as tokens, sizes, precision, memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.table import embed, virtual_ids
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.layers import few_queries
from prompt_tuning.t5.model import REMAT_POLICIES, T5, apply, count_params, init_params

CONFIG = T5Config(
    vocab_size=50,
    d_model=24,
    d_kv=8,
    d_ff=40,
    num_layers=3,
    num_decoder_layers=2,
    num_heads=2,
    num_buckets=8,
    max_distance=16,
)
MODEL = T5(CONFIG)


@pytest.fixture(scope="module")
def params():
    return init_params(CONFIG, seed=1)


@jax.jit
def logits(params, ids, segments, decoder_ids, decoder_segments, prompts=None):
    x = embed(params["token_embedder"]["embedding"], prompts, ids)
    return apply(MODEL, params, x, segments, decoder_ids, decoder_segments)


def test_a_prompt_of_token_embeddings_equals_the_tokens(params):
    rng = np.random.default_rng(0)
    tokens, text = rng.integers(2, 50, (1, 5)), rng.integers(2, 50, (3, 7))
    decoder_ids = jnp.asarray(rng.integers(2, 50, (3, 4)))
    rows = np.concatenate([np.repeat(tokens, 3, 0), text], 1)
    ones, decoder_ones = jnp.ones_like(rows), jnp.ones_like(decoder_ids)
    want = logits(params, jnp.asarray(rows), ones, decoder_ids, decoder_ones)
    table = params["token_embedder"]["embedding"][tokens]
    virtual = np.repeat(np.array([virtual_ids(50, 5)]), 3, 0)
    rows = jnp.asarray(np.concatenate([virtual, text], 1))
    got = logits(params, rows, ones, decoder_ids, decoder_ones, table)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_packed_examples_with_their_own_prompts_equal_padded_ones(params):
    rng = np.random.default_rng(1)
    table = jnp.asarray(rng.normal(size=(3, 4, 24)), jnp.float32)  # 3 prompts of up to 4 rows
    lengths, text_lengths, target_lengths = (4, 2, 3), (5, 3, 6), (2, 4, 3)
    inputs = [
        [*virtual_ids(50, p, r, 4), *rng.integers(2, 50, n)]
        for r, (p, n) in enumerate(zip(lengths, text_lengths, strict=True))
    ]
    targets = [[0, *rng.integers(2, 50, n - 1)] for n in target_lengths]

    def row(pieces, length):
        ids = np.zeros((1, length), np.int32)
        segments = np.zeros((1, length), np.int32)
        start = 0
        for number, piece in enumerate(pieces, 1):
            ids[0, start : start + len(piece)] = piece
            segments[0, start : start + len(piece)] = number
            start += len(piece)
        return jnp.asarray(ids), jnp.asarray(segments)

    packed = logits(params, *row(inputs, 26), *row(targets, 11), table)[0]
    start = 0
    for x, y in zip(inputs, targets, strict=True):
        alone = logits(params, *row([x], 13), *row([y], 6), table)[0]
        got = packed[start : start + len(y)]
        np.testing.assert_allclose(got, alone[: len(y)], atol=1e-5)
        start += len(y)


def test_padding_changes_nothing(params):
    rng = np.random.default_rng(2)
    ids, decoder_ids = rng.integers(2, 50, (2, 6)), rng.integers(2, 50, (2, 3))

    def padded(x, n, value):
        return jnp.asarray(np.pad(x, ((0, 0), (0, n)), constant_values=value))

    def run(n, value):
        return logits(
            params,
            padded(ids, n, value),
            padded(np.ones_like(ids), n, 0),
            padded(decoder_ids, n, value),
            padded(np.ones_like(decoder_ids), n, 0),
        )[:, :3]

    np.testing.assert_allclose(run(0, 0), run(5, 0), atol=1e-5)
    np.testing.assert_allclose(run(5, 7), run(5, 0), atol=1e-5)


def test_fused_attention_gives_the_same_logits_and_gradients(params):
    """Of packed rows; on a CPU this tests its layout, bias, mask and (no) scale."""
    rng = np.random.default_rng(4)
    x = jnp.asarray(rng.normal(size=(2, 9, 24)), jnp.float32)
    segments = jnp.asarray([[1, 1, 1, 2, 2, 2, 2, 0, 0], [1] * 9])
    decoder_ids = jnp.asarray([[0, 5, 0, 7], [0, 3, 4, 5]])
    decoder_segments = jnp.asarray([[1, 1, 2, 2], [1, 1, 1, 1]])

    def run(fused):
        def loss(x):
            args = (x, segments, decoder_ids, decoder_segments)
            out = apply(T5(CONFIG, fused=fused), params, *args)
            return (out**2).sum(), out

        return jax.grad(loss, has_aux=True)(x)

    for got, want in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_fused_attention_on_a_gpu_says_which_type_it_takes(params, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, ones = jnp.ones((1, 3, 24)), jnp.ones((1, 3), jnp.int32)
    with pytest.raises(UserError, match="set dtype=bfloat16"):
        apply(T5(CONFIG, fused=True), params, x, ones, method="encode")


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_short_decoder_equals_the_beginning_of_a_long_one(params, dropout):
    """Few tokens attend to the encoder without its keys and values (`Attention.of_few`)."""
    model = T5(CONFIG, dropout=dropout)
    ids = jnp.asarray(np.random.default_rng(3).integers(2, 50, (2, 8)))
    x, segments = (
        jax.random.normal(jax.random.key(0), (2, 6, 24)),
        jnp.asarray([[1] * 6, [1] * 4 + [0] * 2]),
    )

    def run(U):
        key, few = jax.random.key(5), ids[:, :U]
        args = (x, segments, few, jnp.ones_like(few))
        return apply(model, params, *args, dropout_key=key if dropout else None)[:, :3]

    assert few_queries(CONFIG, 3)
    assert not few_queries(CONFIG, 8)
    np.testing.assert_allclose(run(3), run(8), atol=1e-5)


def test_the_decoder_is_causal(params):
    ids, segments = jnp.arange(2, 8)[None], jnp.ones((1, 6), jnp.int32)
    decoder_ids = jnp.asarray([[0, 5, 6, 7]])
    ones = jnp.ones_like(decoder_ids)
    before = logits(params, ids, segments, decoder_ids, ones)
    after = logits(params, ids, segments, decoder_ids.at[0, 2].set(9), ones)
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert np.abs(before[:, 2:] - after[:, 2:]).max() > 1e-3


def test_rematerialisation_changes_no_gradient(params):
    x = jax.random.normal(jax.random.key(0), (2, 5, 24))
    ones, decoder_ids = jnp.ones((2, 5), jnp.int32), jnp.asarray([[0, 3], [0, 4]])

    def gradient(remat):
        model = T5(CONFIG, remat=remat, dropout=0.2)
        args = (ones, decoder_ids, jnp.ones_like(decoder_ids))
        key = jax.random.key(5)
        loss = jax.jit(lambda x: (apply(model, params, x, *args, dropout_key=key) ** 2).sum())
        return jax.grad(loss)(x)

    want = gradient("none")
    for policy in REMAT_POLICIES:
        np.testing.assert_allclose(gradient(policy), want, rtol=1e-4, atol=1e-4)


def test_dropout_needs_its_key_and_changes_the_output(params):
    x, ones = jnp.ones((1, 4, 24)), jnp.ones((1, 4), jnp.int32)
    noisy = T5(CONFIG, dropout=0.5)
    a, b = (apply(noisy, params, x, ones, method="encode", dropout_key=jax.random.key(k))
            for k in (0, 1))  # fmt: skip
    assert np.abs(a - b).max() > 0.01
    np.testing.assert_array_equal(
        apply(MODEL, params, x, ones, method="encode"),
        apply(MODEL, params, x, ones, method="encode"),
    )


@pytest.mark.parametrize(
    ("size", "total"),  # the paper's Table 4, prompt length 1
    [
        ("small", 76_961_664),
        ("base", 247_578_624),
        ("large", 783_151_104),
        ("xl", 2_849_759_232),
        ("xxl", 11_135_336_448),
    ],
)
def test_parameter_counts_equal_table_4(size, total):
    config = SIZES[size]
    assert count_params(config) + config.d_model == total


def test_bfloat16_weights_give_float32_logits_close_to_float32(params):
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    model = T5(CONFIG, dtype=jnp.bfloat16)
    ids, ones = jnp.asarray([[3, 4, 5, 1]]), jnp.ones((1, 4), jnp.int32)
    x = embed(half["token_embedder"]["embedding"], None, ids)
    got = apply(model, half, x, ones, ids, ones)
    assert got.dtype == jnp.float32
    want = logits(params, ids, ones, ids, ones)
    assert 0 < np.abs(got - want).max() < 0.3


def test_tied_head_has_no_output_matrix_and_scales():
    tied = dataclasses.replace(CONFIG, tied_head=True, scale_logits=True)
    params = init_params(tied)
    assert "logits_dense" not in params["decoder"]
    ids, ones = jnp.asarray([[3, 4, 1]]), jnp.ones((1, 3), jnp.int32)
    x = embed(params["token_embedder"]["embedding"], None, ids)
    scaled = apply(T5(tied), params, x, ones, ids, ones)
    plain = dataclasses.replace(tied, scale_logits=False)
    np.testing.assert_allclose(
        scaled, apply(T5(plain), params, x, ones, ids, ones) * 24**-0.5, rtol=1e-4, atol=1e-5
    )
