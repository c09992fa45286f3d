"""The plan against what is known otherwise: formulas, arrays, and a compiled step."""

import dataclasses
import math
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.cost import run_flops
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.model import count_params, param_shapes
from prompt_tuning.training.plan import Setup, count_flops, kept_bytes, make_plan, step_flops
from prompt_tuning.training.run import paper

CONFIG = T5Config(
    vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=6, num_decoder_layers=6, num_heads=4
)
SETUP = Setup(batch=4, length=4, input=28, target=8, dtype="float32", remat="none")


@pytest.fixture(scope="module")
def planned():
    return make_plan(CONFIG, SETUP)


def test_products_are_counted_through_loops():
    def chain(x, y):
        return jax.lax.scan(lambda a, _: (jax.nn.relu(a @ y), None), x, None, length=5)[0] @ y

    shapes = jax.ShapeDtypeStruct((3, 7), jnp.float32), jax.ShapeDtypeStruct((7, 7), jnp.float32)
    assert count_flops(jax.make_jaxpr(chain)(*shapes).jaxpr) == 6 * 2 * 3 * 7 * 7


def test_a_step_costs_what_the_formula_of_the_sweep_says():
    """Forward and as much again for the gradient to the inputs; counted here, summed up there."""
    setup = Setup(batch=8, length=100, input=156, target=8, dtype="float32", remat="none")
    run = paper("x", model="random:small", steps=1, batch_size=8, max_input_length=156,
                max_target_length=8, dev_examples=1, prompt={"length": 100})  # fmt: skip
    without = run_flops(dataclasses.replace(run, steps=0))
    found = step_flops(SIZES["small"], setup)
    assert found == pytest.approx(run_flops(run) - without, rel=0.05)
    again = step_flops(SIZES["small"], dataclasses.replace(setup, remat="full"))
    assert 1.3 < again / found < 1.5  # the forward pass of the layers once more


def test_parts_of_a_batch_add_up_and_runs_multiply():
    parts = dataclasses.replace(SETUP, runs=2, micro_batches=4)
    assert step_flops(CONFIG, parts) == pytest.approx(2 * step_flops(CONFIG, SETUP), rel=1e-6)


def test_weights_and_state_are_those_of_the_arrays(planned):
    assert planned.weights == 4 * planned.frozen_parameters == 4 * count_params(CONFIG)
    assert planned.trained_parameters == 4 * 32
    arrays = 2 * 4 * 32 * 4  # the prompt and Adafactor's second moments
    batch = 4 * (2 * 4 * 32 + 3 * 4 * 8)
    assert arrays + batch <= planned.state <= arrays + batch + 100  # counters, rates
    assert planned.peak == planned.weights + planned.state + planned.temporary


def test_less_is_kept_under_each_stricter_policy_and_smaller_type(planned):
    def kept(dtype, remat):
        setup = dataclasses.replace(SETUP, dtype=dtype, remat=remat)
        return kept_bytes(CONFIG, setup, setup.activations)

    float32 = [kept("float32", remat) for remat in ("none", "dots", "full")]
    assert float32 == sorted(float32, reverse=True)
    # Nothing but each layer's input: of the encoder's six and of the decoder's.
    inputs = 6 * 4 * 4 * 32 * (32 + 8)
    assert inputs <= float32[2] <= 2 * inputs
    for remat, wide in zip(("none", "dots", "full"), float32, strict=True):
        assert 0.45 * wide < kept("bfloat16", remat) < 0.8 * wide
        assert kept("int8", remat) == pytest.approx(kept("bfloat16", remat), rel=0.05)
    part = kept_bytes(CONFIG, dataclasses.replace(SETUP, micro_batches=2), jnp.dtype("float32"))
    assert part == pytest.approx(float32[0] / 2, rel=0.1)
    assert planned.kept == float32[0]


def test_int8_is_a_byte_a_weight_of_the_layers():
    small = make_plan(CONFIG, dataclasses.replace(SETUP, dtype="int8", remat="full"))
    matrices = sum(
        math.prod(leaf.shape) for part in ("encoder", "decoder")
        for leaf in jax.tree.leaves(param_shapes(CONFIG)[part]["layers"]) if len(leaf.shape) == 3
    )  # fmt: skip
    rest = 2 * (count_params(CONFIG) - matrices)
    assert matrices + rest < small.weights < 1.2 * (matrices + rest)


def test_bfloat16_needs_no_more_than_float32(planned):
    half = make_plan(CONFIG, dataclasses.replace(SETUP, dtype="bfloat16"))
    assert half.weights * 2 == planned.weights
    assert 0.4 * planned.temporary < half.temporary < planned.temporary
    assert planned.kept < 1.5 * planned.temporary  # the compiler holds about what is kept


PROGRAM = """
    import dataclasses, sys
    import jax
    from prompt_tuning.t5.config import T5Config
    from prompt_tuning.training.plan import Setup, make_plan

    jax.config.update("jax_num_cpu_devices", 4)
    config, setup = eval(sys.argv[1]), eval(sys.argv[2])
    for parallel in (1, 2):
        found = make_plan(config, dataclasses.replace(setup, devices=4, model_parallel=parallel))
        print(found.weights, found.temporary, found.flops)
"""


def test_rows_and_weights_are_split_over_devices():
    setup = dataclasses.replace(SETUP, remat="full")
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), repr(CONFIG), repr(setup)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, split = ([float(x) for x in line.split()] for line in done.stdout.splitlines())
    alone = make_plan(CONFIG, setup)
    assert rows[0] == alone.weights
    assert 0.5 * alone.weights <= split[0] < 0.6 * alone.weights
    assert rows[1] < 0.5 * alone.temporary
    assert rows[2] == split[2] == alone.flops


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"micro_batches": 3}, "not a multiple of 3"),
        ({"devices": 4, "model_parallel": 3}, "does not divide the 4 devices"),
        ({"devices": 8}, "4 rows at a time"),
        ({"dtype": "float16"}, "unknown dtype"),
        ({"remat": "some"}, "unknown remat"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        dataclasses.replace(SETUP, **wrong)


def test_devices_that_come_too_late_are_refused():
    assert np.size(jax.devices()) == 1
    with pytest.raises(UserError, match="jax_num_cpu_devices"):
        make_plan(CONFIG, dataclasses.replace(SETUP, devices=2))


@pytest.mark.parametrize(
    ("dtype", "micro_batches", "card", "too_small"), [("bfloat16", 1, 80, 40), ("int8", 8, 24, 12)]
)
def test_prompts_of_xxl_fit_one_card(dtype, micro_batches, card, too_small):
    found = make_plan(SIZES["xxl"], Setup(dtype=dtype, micro_batches=micro_batches))
    assert found.fits(card)
    assert not found.fits(too_small)
