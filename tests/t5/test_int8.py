"""Int8 weights are those of a plain model, in everything that is computed of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.inference import generate_ids, score_label_ids
from prompt_tuning.t5 import int8
from prompt_tuning.t5.load import FrozenT5, load_t5, save_t5
from prompt_tuning.t5.model import REMAT_POLICIES, T5, apply
from prompt_tuning.training.loop import train
from prompt_tuning.training.run import model_tuning


@pytest.fixture(scope="module")
def models(tiny_t5):
    """The int8 model, and the plain one with the weights that it stands for."""
    small = load_t5(tiny_t5, dtype="int8")
    plain = int8.dequantize_params(small.params)
    return small, FrozenT5(small.config, plain, small.tokenizer, small.name)


def leaves(params):
    return {"/".join(key.key for key in path): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)}  # fmt: skip


def test_only_the_matrices_of_the_layers_are_quantised(models, tiny_t5):
    small, plain, stored = (leaves(t5.params) for t5 in (*models, load_t5(tiny_t5)))
    matrices = {name for name in stored if "layers" in name and name.endswith("kernel")}
    assert len(matrices) == 2 * 7 + 4  # both stacks: four of attention, three of the MLP; cross
    for name, weights in stored.items():
        if name in matrices:
            assert small[name].dtype == jnp.int8
            scale = small[name.replace("kernel", "scale")]
            assert np.all(abs(plain[name] - weights) <= scale[:, None, :] * 0.5001)
            np.testing.assert_allclose(abs(plain[name]).max(1), abs(weights).max(1), rtol=1e-6)
        else:
            np.testing.assert_array_equal(small[name], weights)
    assert models[0].fingerprint == load_t5(tiny_t5).fingerprint  # prompts fit both


def test_a_column_of_zeros_stays_zero():
    found = int8.quantize(np.zeros((1, 3, 2), np.float32))
    assert not np.any(found["kernel"])
    assert np.all(np.isfinite(found["scale"]))


def loss(params, config, remat, x_BTD, ids_BU):
    ones = jnp.ones(x_BTD.shape[:2], jnp.int32), jnp.ones_like(ids_BU)
    logits = apply(T5(config, remat=remat), params, x_BTD, ones[0], ids_BU, ones[1])
    return -jax.nn.log_softmax(logits)[:, :, 3].mean()


@pytest.mark.parametrize("remat", REMAT_POLICIES)
def test_the_gradient_to_the_inputs_is_that_of_the_plain_model(models, remat):
    small, plain = models
    x_BTD = np.random.default_rng(0).normal(size=(3, 7, 16)).astype(np.float32)
    ids_BU = np.array([[0, 4], [0, 9], [0, 1]], np.int32)
    step = jax.jit(jax.value_and_grad(loss, argnums=3), static_argnums=(1, 2))
    value, slope = step(small.params, small.config, remat, x_BTD, ids_BU)
    want, want_slope = step(plain.params, plain.config, remat, x_BTD, ids_BU)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(slope, want_slope, atol=1e-5 * float(abs(want_slope).max()))
    assert float(abs(want_slope).max()) > 0


@pytest.mark.parametrize("remat", ["none", "dots"])
def test_no_float_copy_of_the_weights_is_kept_for_the_backward_pass(models, remat):
    small, _ = models
    x_BTD = np.zeros((1, 5, 16), np.float32)
    ids_BU = np.zeros((1, 3), np.int32)

    def backward(params):
        return jax.vjp(lambda x: loss(params, small.config, remat, x, ids_BU), x_BTD)[1]

    kept = jax.tree.leaves(jax.eval_shape(backward, small.params))
    matrices = {leaf.shape for leaf in jax.tree.leaves(small.params) if leaf.dtype == jnp.int8}
    assert not [x for x in kept if x.shape in matrices and x.dtype != jnp.int8]


def test_generation_and_scoring_are_those_of_the_plain_model(models):
    rows = [[5, 9, 3, 1], [7, 1], [12, 4, 4, 4, 8, 1]]
    np.testing.assert_array_equal(*(generate_ids(t5, rows, 5) for t5 in models))
    scores = [score_label_ids(t5, rows, [[4, 1], [9, 8, 1]]) for t5 in models]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_product_in_bfloat16_rounds_only_its_inputs_and_its_output():
    rng = np.random.default_rng(1)
    found = int8.quantize(rng.normal(size=(1, 64, 8)).astype(np.float32))
    x = jnp.asarray(rng.normal(size=(5, 64)), jnp.bfloat16)
    y = int8.product(x, found["kernel"][0], found["scale"][0])
    want = np.asarray(x, np.float64) @ np.asarray(int8.dequantize_params(found)["kernel"][0])
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), want, rtol=2**-8)


def test_a_population_trains_on_int8_as_on_the_plain_model(models, toy_run, tmp_path):
    small, plain = models
    results = []
    for name, t5, dtype in (("int8", small, "int8"), ("plain", plain, None)):
        runs = [toy_run(seed=seed, dtype=dtype) for seed in (0, 1)]
        results.append(train(runs, tmp_path / name, t5=t5, quiet=True))
    for one, other in zip(*results, strict=True):
        tables = [np.asarray(result.prompt.array) for result in (one, other)]
        # Adafactor divides by the gradient: elements of next to none are the least accurate.
        assert np.quantile(abs(tables[0] - tables[1]), 0.95) < 1e-4


def test_what_int8_cannot_do_is_refused(models, toy_run, tmp_path):
    with pytest.raises(UserError, match="frozen models"):
        toy_run(make_run=model_tuning, dtype="int8")
    with pytest.raises(UserError, match="not saved"):
        save_t5(models[0], tmp_path / "small")
    with pytest.raises(UserError, match="model in memory is int8"):
        train(toy_run(), tmp_path, t5=models[0], quiet=True)
    assert not list(tmp_path.iterdir())
