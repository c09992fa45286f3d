"""Adafactor against T5X's golden values and a plain numpy Adafactor; the traps as fields."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.training import trees
from prompt_tuning.training.optimizer import (
    MODEL_TUNING,
    PAPER,
    RELEASED,
    OptimizerConfig,
    make_optimizer,
)

WHOLE = {"prompt": {"table": "whole"}}


def tree(x):
    return {"prompt": {"table": jnp.asarray(x, jnp.float32)}}


def from_t5x(hyper):
    """Our configuration of T5X's hyper-parameters."""
    return OptimizerConfig(
        learning_rate=hyper["learning_rate"] or 0.0,
        weight_decay=hyper["weight_decay_rate"] or 0.0,
        beta2_decay=hyper["decay_rate"],
        factored=hyper["factored"],
        factor_from=hyper["min_dim_size_to_factor"],
        clip_update_rms=hyper["clipping_threshold"],
        scale_by_parameter=hyper["multiply_by_parameter_scale"],
        momentum=hyper["beta1"],
        clip_global_norm=hyper["global_norm_clip_threshold"],
    )


def test_steps_equal_the_golden_values_of_t5x(shared_data):
    golden = json.loads((shared_data / "golden" / "adafactor.json").read_text())
    for case in golden["step_cases"]:
        tx = make_optimizer(from_t5x(case["hyper_params"]), WHOLE)
        params = tree(case["params"])
        state = tx.init(params)
        before = case["state"]
        moments = {name: tree(before[name]) for name in ("v_row", "v_col", "v")}
        state = optax.tree.set(state, count=jnp.int32(before["step"]), **moments)
        updates, state = tx.update(tree(case["grads"]), state, params)
        got = optax.apply_updates(params, updates)["prompt"]["table"]
        np.testing.assert_allclose(got, case["expected_params"], rtol=1e-6)
        for name in ("v_row", "v_col", "v"):
            value = optax.tree.get(state, name)["prompt"]["table"]
            np.testing.assert_allclose(value, case["expected_state"][name], rtol=1e-6)


def test_state_shapes_equal_the_golden_ones_of_t5x(shared_data):
    golden = json.loads((shared_data / "golden" / "adafactor.json").read_text())
    for case in golden["state_shape_cases"]:
        tx = make_optimizer(from_t5x(case["hyper_params"]), WHOLE)
        state = tx.init(tree(np.zeros(case["param_shape"])))
        for name in ("v_row", "v_col", "v"):
            shape = optax.tree.get(state, name)["prompt"]["table"].shape
            assert list(shape) == case["expected_state_shapes"][name], case["id"]


def numpy_adafactor(param, grads, config: OptimizerConfig):
    """Shazeer & Stern 2018 as T5X codes it, in float64, in the plainest way."""
    param = param.astype(np.float64)
    factored = config.factored and min(param.shape) >= config.factor_from
    row, col, full = np.zeros(param.shape[0]), np.zeros(param.shape[1]), np.zeros(param.shape)
    for step, grad in enumerate(grads):
        t = config.start_step + step
        keep = 1.0 - (t + 1.0) ** -config.beta2_decay
        square = grad.astype(np.float64) ** 2 + 1e-30
        if factored:
            row = keep * row + (1 - keep) * square.mean(axis=1)
            col = keep * col + (1 - keep) * square.mean(axis=0)
            v = row[:, None] * col[None, :] / row.mean()
        else:
            full = keep * full + (1 - keep) * square
            v = full
        update = grad / np.sqrt(v)
        if config.clip_update_rms is not None:
            rms = np.sqrt((update**2).mean())
            update = update / max(1.0, rms / config.clip_update_rms)
        rate = config.learning_rate
        if config.warmup_steps:
            rate *= min(1.0, (step + 1) / config.warmup_steps)
        if config.decay_every:
            rate *= config.decay_factor ** (step // config.decay_every)
        after = max(step + 1 - config.warmup_steps, 0) / max(config.warmup_steps, 1)
        done = (step - config.warmup_steps) / max(config.total_steps - config.warmup_steps, 1)
        done = min(max(done, 0.0), 1.0)
        rate *= {
            "none": 1.0,
            "inverse_sqrt": (1 + after) ** -0.5,
            "linear": 1 - done,
            "cosine": np.cos(np.pi / 2 * done) ** 2,
        }[config.decay]
        if config.scale_by_parameter:
            rate *= max(np.sqrt((param**2).mean()), 1e-3)
        param = param - rate * update - config.weight_decay * param
    return param


CASES = {
    "paper": PAPER,
    "released": RELEASED,
    "factored": dataclasses.replace(PAPER, factor_from=4),
    "released, factored": dataclasses.replace(RELEASED, factor_from=4),
    "heavy decay": dataclasses.replace(PAPER, weight_decay=0.05, factor_from=4),
    "not clipped": dataclasses.replace(PAPER, clip_update_rms=None),
    "parameter scale": dataclasses.replace(MODEL_TUNING, learning_rate=0.1, factor_from=4),
    "schedule": dataclasses.replace(PAPER, warmup_steps=7, decay_factor=0.5, decay_every=12),
    "inverse sqrt": dataclasses.replace(PAPER, warmup_steps=5, decay="inverse_sqrt"),
    "linear": dataclasses.replace(PAPER, warmup_steps=5, decay="linear", total_steps=30),
    "cosine": dataclasses.replace(PAPER, decay="cosine", total_steps=40),
}


@pytest.mark.parametrize("name", CASES)
def test_many_steps_equal_a_plain_numpy_adafactor(name):
    config = CASES[name]
    rng = np.random.default_rng(0)
    param = rng.normal(size=(6, 9)).astype(np.float32)
    scale = np.exp(rng.normal(size=(6, 9)))  # rows and columns of unlike size
    grads = [rng.normal(size=(6, 9)).astype(np.float32) * scale for _ in range(40)]
    grads = [(g * 0.9**i).astype(np.float32) for i, g in enumerate(grads)]
    tx = make_optimizer(config, WHOLE)
    params = tree(param)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for grad in grads:
        updates, state = update(tree(grad), state, params)
        params = optax.apply_updates(params, updates)
    want = numpy_adafactor(param, grads, config)
    np.testing.assert_allclose(params["prompt"]["table"], want, rtol=2e-4, atol=2e-4)
    assert np.abs(want - param).max() > 0.1  # the case moves


def test_decay_to_zero_must_know_where():
    config = dataclasses.replace(PAPER, decay="cosine", warmup_steps=10, total_steps=10)
    with pytest.raises(UserError, match="needs total_steps, more than the 10"):
        make_optimizer(config, WHOLE)


def test_the_released_start_step_makes_another_optimiser():
    rng = np.random.default_rng(1)
    param = np.zeros((5, 8), np.float32)
    grads = [(rng.normal(size=(5, 8)) * 0.8**i).astype(np.float32) for i in range(30)]
    fresh, late = numpy_adafactor(param, grads, PAPER), numpy_adafactor(param, grads, RELEASED)
    assert np.abs(fresh - late).max() > 0.5
    assert (PAPER.start_step, RELEASED.start_step) == (0, 1_100_000)


def test_a_prompt_is_factored_from_128_rows_unless_told_otherwise():
    def is_factored(rows, config=PAPER):
        state = make_optimizer(config, WHOLE).init(tree(np.zeros((rows, 512))))
        return optax.tree.get(state, "v")["prompt"]["table"].shape == (1,)

    assert not is_factored(127)
    assert is_factored(128)
    assert not is_factored(150, dataclasses.replace(PAPER, factored=False))
    assert is_factored(100, dataclasses.replace(PAPER, factor_from=100))


def test_weight_decay_is_outside_the_learning_rate():
    still = dataclasses.replace(PAPER, learning_rate=0.0, weight_decay=0.25)
    params = tree(np.ones((2, 3)))
    tx = make_optimizer(still, WHOLE)
    updates, _ = tx.update(tree(np.ones((2, 3))), tx.init(params), params)
    np.testing.assert_allclose(updates["prompt"]["table"], -0.25)


def test_rates_of_a_population_equal_separate_optimisers():
    rng = np.random.default_rng(2)
    params, grads = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    rates, decays = np.float32([0.1, 0.3, 0.5]), np.float32([0.0, 1e-5, 0.1])

    def update(grad, param, rate, decay):
        tx = make_optimizer(PAPER, WHOLE, rate, decay)
        return tx.update(grad, tx.init(param), param)[0]["prompt"]["table"]

    got = jax.vmap(update)(tree(grads), tree(params), rates, decays)
    for r in range(3):
        want = update(tree(grads[r]), tree(params[r]), float(rates[r]), float(decays[r]))
        np.testing.assert_allclose(got[r], want, rtol=1e-6)


def test_stacked_layers_are_clipped_and_factored_as_separate_arrays():
    params = {"model": {"encoder": {"layers": {"kernel": np.ones((2, 4, 6), np.float32)}}}}
    labels = trees.label_tree(params, "model")
    assert labels["model"]["encoder"]["layers"]["kernel"] == "encoder_layers"
    rng = np.random.default_rng(3)
    grads = rng.normal(size=(2, 4, 6)).astype(np.float32) * np.float32([1, 100])[:, None, None]
    config = dataclasses.replace(MODEL_TUNING, factor_from=2)
    tx = make_optimizer(config, labels)
    state = tx.init(jax.tree.map(jnp.asarray, params))
    gradient = {"model": {"encoder": {"layers": {"kernel": jnp.asarray(grads)}}}}
    updates, _ = tx.update(gradient, state, jax.tree.map(jnp.asarray, params))
    got = updates["model"]["encoder"]["layers"]["kernel"]
    for layer in range(2):
        want = numpy_adafactor(np.ones((4, 6)), [grads[layer]], config) - 1.0
        np.testing.assert_allclose(got[layer], want, rtol=1e-4, atol=1e-7)


def test_frozen_leaves_have_neither_state_nor_update():
    params = {"model": {"decoder": {"w": jnp.ones((3, 4))}}, "prompt": {"table": jnp.ones((2, 4))}}
    labels = trees.label_tree(params, "prompt")
    trainable, frozen = trees.split(params, labels)
    state = make_optimizer(PAPER, labels).init(trainable)
    assert {x.shape for x in jax.tree.leaves(state)} == {(), (2, 4), (1,)}
    assert [x.shape for x in jax.tree.leaves(frozen)] == [(3, 4)]
    merged = trees.merge(trainable, frozen)
    assert jax.tree.structure(merged) == jax.tree.structure(params)


def test_adamw_decays_as_adafactor_does():
    config = OptimizerConfig(name="adamw", learning_rate=0.1, weight_decay=0.5)
    params = tree(np.ones((2, 3)))
    tx = make_optimizer(config, WHOLE)
    updates, _ = tx.update(tree(np.full((2, 3), 7.0)), tx.init(params), params)
    np.testing.assert_allclose(updates["prompt"]["table"], -0.1 - 0.5, rtol=1e-5)


def numpy_adam(param, grads, rate, decay, b1=0.9, b2=0.999):
    """Kingma & Ba 2015, algorithm 1, with the decay outside the rate."""
    m, v = np.zeros_like(param), np.zeros_like(param)
    for t, grad in enumerate(grads, 1):
        m, v = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
        step = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        param = param - rate * step - decay * param
    return param


def numpy_muon(param, grads, rate, decay, beta=0.95):
    """Jordan et al. 2024 in float64: momentum that looks ahead, five quintic Newton-Schulz steps.

    Such a step maps a singular value s to 3.4445 s - 4.775 s**3 + 2.0315 s**5: here it is done on
    the singular values themselves.
    """
    mean = np.zeros_like(param)
    for t, grad in enumerate(grads, 1):
        mean = beta * mean + (1 - beta) * grad
        ahead = beta * mean / (1 - beta ** (t + 1)) + (1 - beta) * grad / (1 - beta**t)
        u, s, v = np.linalg.svd(ahead, full_matrices=False)
        s = s / np.sqrt((s**2).sum())
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        param = param - rate * 0.2 * np.sqrt(max(param.shape)) * (u * s) @ v - decay * param
    return param


def steps(tx, params, grads):
    state = tx.init(params)
    update = jax.jit(tx.update)
    for grad in grads:
        updates, state = update(grad, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_beta2_is_that_of_adam():
    rng = np.random.default_rng(4)
    param, grads = rng.normal(size=(3, 5)), rng.normal(size=(6, 3, 5))
    for beta2 in (0.999, 0.9):
        config = OptimizerConfig(name="adamw", learning_rate=0.1, weight_decay=0.01, beta2=beta2)
        got = steps(make_optimizer(config, WHOLE), tree(param), [tree(g) for g in grads])
        want = numpy_adam(param, grads, 0.1, 0.01, b2=beta2)
        np.testing.assert_allclose(got["prompt"]["table"], want, rtol=1e-4, atol=1e-5)
    for name in ("warmup_steps", "decay_every", "start_step"):
        with pytest.raises(UserError, match=f"{name} must be 0 or more, not -1"):
            OptimizerConfig(**{name: -1})
    for name in ("beta2", "momentum"):
        with pytest.raises(UserError, match=f"{name} must be in"):
            OptimizerConfig(**{name: 1.0})
    for name in ("clip_update_rms", "clip_global_norm"):
        with pytest.raises(UserError, match=f"{name} must be above 0"):
            OptimizerConfig(**{name: 0.0})


@pytest.mark.parametrize("momentum", [None, 0.8])
def test_muon_is_for_the_matrices_of_each_layer_and_adam_for_the_rest(momentum):
    rng = np.random.default_rng(5)
    shapes = {"tall": (2, 9, 4), "wide": (2, 4, 9), "scale": (2, 9)}

    def model(make):
        layers = {name: make(shape) for name, shape in shapes.items()}
        return {"model": {"decoder": {"layers": layers, "logits_dense": make((6, 7))}}}

    def normal(shape):
        return rng.normal(size=shape) * np.exp(rng.normal(size=shape[-1:]))

    params, grads = model(normal), [model(normal) for _ in range(7)]
    config = OptimizerConfig(
        name="muon", learning_rate=0.02, weight_decay=0.01, beta2=0.98, momentum=momentum
    )
    tx = make_optimizer(config, trees.label_tree(params, "model"))
    start, *gradients = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), [params, *grads])
    got = steps(tx, start, gradients)["model"]["decoder"]
    start = params["model"]["decoder"]
    grads = [g["model"]["decoder"] for g in grads]
    adam, beta = {"rate": 0.02, "decay": 0.01, "b2": 0.98}, 0.95 if momentum is None else momentum
    want = numpy_adam(start["logits_dense"], [g["logits_dense"] for g in grads], **adam)
    np.testing.assert_allclose(got["logits_dense"], want, rtol=1e-4, atol=1e-5)
    for layer in range(2):
        for name in shapes:
            param = start["layers"][name][layer]
            gradients = [g["layers"][name][layer] for g in grads]
            if name == "scale":
                want = numpy_adam(param, gradients, **adam)
            else:
                want = numpy_muon(param, gradients, 0.02, 0.01, beta)
            np.testing.assert_allclose(got["layers"][name][layer], want, rtol=1e-3, atol=1e-4)
            assert np.abs(want - param).max() > 0.02


def test_muon_moves_as_far_as_adam_whatever_the_shape():
    params = {"model": {"encoder": {"layers": {"kernel": jnp.zeros((1, 48, 96))}}}}
    grad = jax.tree.map(lambda x: jax.random.normal(jax.random.key(0), x.shape), params)
    config = OptimizerConfig(name="muon", learning_rate=1.0, weight_decay=0.0)
    tx = make_optimizer(config, trees.label_tree(params, "model"))
    updates, _ = tx.update(grad, tx.init(params), params)
    rms = float(jnp.sqrt((updates["model"]["encoder"]["layers"]["kernel"] ** 2).mean()))
    assert 0.1 < rms < 0.3  # Adam's usual 0.2
