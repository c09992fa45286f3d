"""Batches of rows: padding and neighbours never count; token embeddings as a prompt are tokens."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation import inference
from prompt_tuning.evaluation.inference import Places, forward, generate_ids, score_label_ids
from prompt_tuning.evaluation.rows import pack_inputs, packed_length
from prompt_tuning.prompts.prompt import Prompt
from prompt_tuning.prompts.table import stack_prompts, virtual_ids

LABELS = ([12, 1], [5, 6, 7, 1], [40, 1])


@pytest.fixture
def rows(t5):
    """Rows of many lengths, two thirds of them with a prompt in front, and the prompts' table."""
    rng = np.random.default_rng(1)
    V, lengths = t5.config.vocab_size, (3, 1)
    arrays = [rng.standard_normal((n, t5.config.d_model), dtype=np.float32) for n in lengths]
    virtual = [virtual_ids(V, n, r, rows=3) for r, n in enumerate(lengths)] + [[]]
    texts = [[*rng.integers(3, 110, size).tolist(), 1] for size in range(1, 14)]
    return [virtual[n % 3] + text for n, text in enumerate(texts)], stack_prompts(arrays)


def test_neighbours_and_padding_never_count(t5, rows):
    rows, table = rows
    whole = generate_ids(t5, rows, 6, prompts_RPD=table)
    alone = generate_ids(t5, rows, 6, prompts_RPD=table, tokens_per_batch=1)
    assert len({tuple(ids.tolist()) for ids in whole}) > 3  # the outputs do tell rows apart
    np.testing.assert_array_equal(whole, alone)
    a = score_label_ids(t5, rows, LABELS, prompts_RPD=table)
    b = score_label_ids(t5, rows, LABELS, prompts_RPD=table, tokens_per_batch=1)
    np.testing.assert_allclose(a, b, atol=1e-5)
    lengths = [len(row) for row in rows]
    assert len(pack_inputs(lengths, packed_length(lengths))) < len(rows)  # some did share a row
    apart = [score_label_ids(t5, [row], LABELS, prompts_RPD=table)[0] for row in rows]
    np.testing.assert_allclose(a, apart, atol=1e-5)
    assert score_label_ids(t5, [], LABELS).shape == (0, 3)


def test_places_count_what_is_used_and_what_is_padding(t5, rows):
    rows, table = rows
    for call in (
        lambda places: generate_ids(t5, rows, 2, prompts_RPD=table, places=places),
        lambda places: score_label_ids(t5, rows, LABELS, prompts_RPD=table, places=places),
    ):
        places = Places()
        call(places)
        assert places["used"] == sum(map(len, rows)) < places["all"] < 64 * len(rows)
        once = dict(places)
        call(places)
        assert places == {name: 2 * count for name, count in once.items()}


@pytest.mark.parametrize("count", [1, 7, 50, 63, 64, 200, 1000])
def test_sorted_rows_are_batched_once_each_in_few_shapes_and_with_little_padding(count):
    rng = np.random.default_rng(count)
    lengths = np.minimum(rng.lognormal(5, 0.5, count), 600).astype(int).tolist()
    parts = inference._sorted(lengths, 16_384, 512)
    assert sorted(n for part in parts for [n] in part.rows) == list(range(count))
    for part in parts:
        assert 0 < len(part.rows) <= part.size
        assert part.size * part.length <= 16_384
        assert all(lengths[n] <= part.length for [n] in part.rows)
    assert len({(part.size, part.length) for part in parts}) <= inference.SHAPES
    if count >= 50:  # fewer than 64 share the coarse lengths of other calls
        most = 1.4 if count >= 64 else 1.5
        assert sum(part.size * part.length for part in parts) < most * sum(lengths)


def test_scores_are_those_of_the_logits(t5, rows, likelihood):
    bare = [row for row in rows[0] if max(row) < t5.config.vocab_size]
    for row, scores in zip(bare, score_label_ids(t5, bare, LABELS), strict=True):
        want = [likelihood(row, label) for label in LABELS]
        np.testing.assert_allclose(scores, want, atol=1e-5)


def test_more_beams_never_find_a_less_likely_text(t5, rows, likelihood):
    rows = [row for row in rows[0] if max(row) < t5.config.vocab_size][:4]

    def search(beams: int) -> list[float]:
        found = generate_ids(t5, rows, 5, beams=beams, alpha=0.0)
        texts = [ids.tolist() for ids in found]
        texts = [[*ids[: ids.index(1)], 1] if 1 in ids else ids for ids in texts]
        return [likelihood(row, ids) for row, ids in zip(rows, texts, strict=True)]

    assert all(a <= b + 1e-4 for a, b in zip(search(1), search(4), strict=True))


@pytest.mark.parametrize("position", ["prefix", "after_first", "suffix"])
def test_forward_with_a_prompt_of_token_embeddings(t5, position):
    tokens = [9, 10, 11]
    table = np.asarray(t5.params["token_embedder"]["embedding"], np.float32)
    prompt = Prompt(table[tokens], position)
    inputs, decoder = [[20, 21, 22, 1], [23, 1, 0, 0]], [[0, 5], [0, 6]]
    placed = {
        "prefix": [[*tokens, 20, 21, 22, 1], [*tokens, 23, 1, 0, 0]],
        "after_first": [[20, *tokens, 21, 22, 1], [23, *tokens, 1, 0, 0]],
        "suffix": [[20, 21, 22, *tokens, 1], [23, *tokens, 1, 0, 0]],
    }[position]
    want = forward(t5, placed, decoder)
    np.testing.assert_allclose(forward(t5, inputs, decoder, prompt), want, atol=1e-5)
    if position == "prefix":
        np.testing.assert_allclose(forward(t5, inputs, decoder, table[tokens]), want, atol=1e-5)
        each = jnp.stack([table[tokens]] * 2)
        np.testing.assert_allclose(forward(t5, inputs, decoder, each), want, atol=1e-5)
    assert want.shape == (2, 2, t5.config.vocab_size)
    assert want.dtype == jnp.float32


def test_forward_refuses_what_does_not_fit(t5, prompts):
    for prompt, message in (
        (np.zeros((2, 5), np.float32), "does not fit"),
        (np.zeros((3, 2, t5.config.d_model), np.float32), "does not fit"),
        (np.zeros(t5.config.d_model, np.float32), "does not fit"),
        (np.zeros((0, t5.config.d_model), np.float32), "does not fit"),
        (Prompt(np.zeros((2, 5), np.float32)), "5 wide"),
        (prompts["inside"], "needs the text"),
    ):
        with pytest.raises(UserError, match=message):
            forward(t5, [[5, 1], [6, 1]], [[0], [0]], prompt)


def test_forward_refuses_what_are_not_ids(t5):
    V = t5.config.vocab_size
    good, shape = [[5, 1], [6, 1]], "must be whole numbers in one or more rows of equal length"
    for bad, message in (
        ([[5, 1], [1]], shape),
        ([5, 1], shape),
        ([[[5, 1]]], shape),
        ([[5.0, 1.0]], shape),
        ([["5"]], shape),
        ([], shape),
        (np.zeros((0, 3), np.int32), shape),
        ([[5, V]], f"must be from 0 to {V - 1}, not 5 to {V}"),
        ([[-1, 5]], "not -1 to 5"),
    ):
        for name, args in ("input_ids", (bad, good)), ("decoder_input_ids", (good, bad)):
            with pytest.raises(UserError, match=message) as error:
                forward(t5, *args)
            assert str(error.value).startswith(f"{name} must be")
            assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="2 rows of input_ids but 1 of decoder_input_ids"):
        forward(t5, good, [[0]])


def test_forward_refuses_a_prompt_of_another_base_unless_forced(t5, prompts):
    other = dataclasses.replace(prompts["one"], metadata={"base_fingerprint": "0" * 64})
    with pytest.raises(UserError, match="made for another base"):
        forward(t5, [[5, 1]], [[0]], other)
    want = forward(t5, [[5, 1]], [[0]], prompts["one"])
    np.testing.assert_array_equal(forward(t5, [[5, 1]], [[0]], other, force=True), want)


def test_gradients_reach_a_prompt_array(t5, prompts):
    def loss(prompt):
        logits = forward(t5, [[20, 21, 1], [22, 1, 0]], [[0, 5], [0, 6]], prompt)
        return -jax.nn.log_softmax(logits)[:, :, 7].mean()

    prompt = jnp.asarray(prompts["three"].array)
    gradient = jax.jit(jax.grad(loss))(prompt)
    assert (np.abs(gradient).sum(1) > 0).all()
    step = 1e-2 * gradient / jnp.linalg.norm(gradient)
    slope = (loss(prompt + step) - loss(prompt - step)) / 2e-2
    np.testing.assert_allclose(slope, jnp.linalg.norm(gradient), rtol=2e-2)
