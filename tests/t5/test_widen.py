"""A widened model computes what the narrow one computes, and its copies can learn apart."""

import dataclasses

import jax
import numpy as np
import pytest

import prompt_tuning as pt
from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.widen import widen

NARROW = T5Config(
    **{"vocab_size": 60, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_heads": 3},
    **{"num_layers": 2, "num_decoder_layers": 3},
)


def logits(config, params):
    t5 = FrozenT5(config, params, load_t5("pocket:xs").tokenizer, "x")
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(2, 60, (3, 11)), rng.integers(2, 60, (3, 6))
    return np.asarray(pt.forward(t5, ids.tolist(), targets.tolist()))


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("widths", [(16, 4, 12), (8, 12, 12), (8, 4, 36), (24, 8, 24), (8, 4, 12)])
def test_the_logits_are_the_same(widths, gated):
    narrow = dataclasses.replace(NARROW, gated=gated)
    d_model, d_kv, d_ff = widths
    wide = dataclasses.replace(narrow, d_model=d_model, d_kv=d_kv, d_ff=d_ff)
    params = init_params(narrow, 0)
    wider = widen(params, narrow, wide)
    shapes = jax.tree.map(np.shape, init_params(wide, 0))
    assert jax.tree.map(np.shape, wider) == shapes
    np.testing.assert_allclose(logits(wide, wider), logits(narrow, params), atol=2e-5)


def test_copies_are_read_by_different_weights():
    wide = dataclasses.replace(NARROW, d_model=16)
    trees = [widen(init_params(NARROW, 0), NARROW, wide, seed) for seed in (0, 0, 1)]
    kernels = [tree["encoder"]["layers"]["mlp"]["wi_0"]["kernel"] for tree in trees]
    assert (kernels[0] == kernels[1]).all()
    assert (kernels[0] != kernels[2]).all()
    assert (kernels[0][:, :8] != kernels[0][:, 8:]).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"d_model": 12}, "not in d_model"),
        ({"d_ff": 6}, "not in d_ff"),
        ({"num_layers": 4}, "not in num_layers"),
        ({"num_heads": 6, "d_kv": 2}, "not in d_kv, num_heads"),
    ],
)
def test_what_cannot_be_widened(change, match):
    wide = dataclasses.replace(NARROW, **change)
    with pytest.raises(UserError, match=match):
        widen(init_params(NARROW, 0), NARROW, wide)
    tied = dataclasses.replace(NARROW, tied_head=True)
    with pytest.raises(UserError, match="cannot be widened"):
        widen(init_params(tied, 0), tied, dataclasses.replace(tied, d_model=16))
