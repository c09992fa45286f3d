"""The named sizes have the paper's parameter counts."""

import jax
import pytest

from prompt_tuning.t5 import names
from prompt_tuning.t5.config import SIZES
from prompt_tuning.t5.model import count_params, param_shapes

# The paper, Table 4: frozen and trained parameters together, with a prompt of length 1.
TABLE_4 = {
    "small": 76_961_664,
    "base": 247_578_624,
    "large": 783_151_104,
    "xl": 2_849_759_232,
    "xxl": 11_135_336_448,
}


@pytest.mark.parametrize("size", SIZES)
def test_counts_equal_table_4_of_the_paper(size):
    assert count_params(SIZES[size]) + SIZES[size].d_model == TABLE_4[size]


@pytest.mark.parametrize("size", ["small", "xxl"])
def test_every_tensor_has_one_name_in_each_checkpoint_and_a_place(size):
    found = names.tensors(SIZES[size])
    assert len({tensor.hf for tensor in found}) == len(found)
    assert len({tensor.t5x for tensor in found}) == len(found)
    assert len({(tensor.path, tensor.layer) for tensor in found}) == len(found)
    layers = SIZES[size].num_layers
    # Twice: embedding or head, norm, relative positions; a layer of each stack: 9 and 14 tensors.
    assert len(found) == 2 * 3 + layers * (9 + 14)
    assert len({tensor.path for tensor in found}) == len(jax.tree.leaves(param_shapes(SIZES[size])))
