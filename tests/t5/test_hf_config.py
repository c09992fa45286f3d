"""What transformers 4 and 5 write in config.json, and the configuration it means."""

import dataclasses
import itertools

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.hf_config import config_from_hf, config_to_hf

SMALL = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
    "model_type": "t5",
}
V1_1 = SMALL | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
MT5 = V1_1 | {"model_type": "mt5", "vocab_size": 250112}
V5 = {"transformers_version": "5.23.0", "tie_word_embeddings": True}


def test_t5_1_1_small_is_the_named_size():
    assert config_from_hf(V1_1) == SIZES["small"]


def test_t5_1_0_as_its_first_files_have_it():
    """No feed_forward_proj, no num_decoder_layers, no max distance: all were added later."""
    got = config_from_hf(SMALL | {"relative_attention_num_buckets": 32, "n_positions": 512})
    want = dataclasses.replace(
        SIZES["small"], gated=False, activation="relu", tied_head=True, scale_logits=True
    )
    assert got == want


@pytest.mark.parametrize(
    ("extra", "tied", "scaled"),
    [
        # transformers 4: one key means both.
        ({}, True, True),
        ({"tie_word_embeddings": True}, True, True),
        ({"tie_word_embeddings": False}, False, False),
        ({"tie_word_embeddings": None}, True, True),
        # transformers 5: tied is forced, the scaling is its own key.
        (V5 | {"scale_decoder_outputs": False}, True, False),
        (V5 | {"scale_decoder_outputs": True}, True, True),
        (V5, True, True),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, False, True),
        # mT5: version 4 is untied by default and scales where it is tied, version 5 never scales.
        ({"model_type": "mt5"}, False, False),
        ({"model_type": "mt5", "tie_word_embeddings": False}, False, False),
        ({"model_type": "mt5", "tie_word_embeddings": True}, True, True),
        ({"model_type": "mt5"} | V5, True, False),
        ({"model_type": "mt5", "transformers_version": "5.0.0.dev0"}, False, False),
    ],
)
def test_tying_and_scaling(extra, tied, scaled):
    got = config_from_hf(SMALL | extra)
    assert (got.tied_head, got.scale_logits) == (tied, scaled)


@pytest.mark.parametrize(
    ("extra", "gated", "activation"),
    [
        ({}, False, "relu"),
        ({"model_type": "mt5"}, True, "gelu_tanh"),
        ({"feed_forward_proj": "relu"}, False, "relu"),
        ({"feed_forward_proj": "gated-gelu"}, True, "gelu_tanh"),
        ({"feed_forward_proj": "gelu"}, False, "gelu"),
        ({"feed_forward_proj": "gelu_new"}, False, "gelu_tanh"),
        ({"feed_forward_proj": "gated-silu"}, True, "silu"),
        ({"feed_forward_proj": "gated-relu"}, True, "relu"),
        ({"feed_forward_proj": "gated-swish"}, True, "silu"),
        # Both versions write the derived keys too, and obey them when they read.
        (
            {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": True},
            True,
            "gelu_tanh",
        ),
        ({"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"}, True, "gelu"),
        ({"feed_forward_proj": "relu", "is_gated_act": True}, True, "relu"),
    ],
)
def test_feed_forward(extra, gated, activation):
    got = config_from_hf(SMALL | extra)
    assert (got.gated, got.activation) == (gated, activation)


def test_byt5_has_its_own_depths_and_absent_ids_have_defaults():
    got = config_from_hf(V1_1 | {"num_decoder_layers": 4, "num_layers": 12, "vocab_size": 384})
    assert (got.num_layers, got.num_decoder_layers) == (12, 4)
    assert (got.pad_id, got.eos_id, got.decoder_start_id) == (0, 1, 0)
    assert config_from_hf(V1_1 | {"num_decoder_layers": None}).num_decoder_layers == 8
    assert config_from_hf(V1_1 | {"decoder_start_token_id": 7}).decoder_start_id == 7
    assert config_from_hf(V1_1 | {"eos_token_id": [1]}).eos_id == 1
    assert config_from_hf(V1_1 | {"eos_token_id": [5, 5]}).eos_id == 5
    assert config_from_hf(V1_1 | {"dropout_rate": 0}).dropout_rate == 0.0
    assert config_from_hf(V1_1 | {"dtype": "bfloat16", "torch_dtype": "float32"}) == SIZES["small"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (SMALL | {"model_type": "umt5"}, "model_type 'umt5'"),
        (SMALL | {"model_type": "switch_transformers"}, "model_type 'switch_transformers'"),
        (SMALL | {"model_type": "bert"}, "model_type 'bert'"),
        ({"d_model": 512}, "model_type None"),
        ({"model_type": "t5"}, "no vocab_size, d_model, d_kv, d_ff, num_layers, num_heads"),
        (SMALL | {"d_ff": None}, "no d_ff"),
        (SMALL | {"d_model": "512"}, "d_model must be of type int"),
        (SMALL | {"num_heads": True}, "num_heads must be of type int"),
        (SMALL | {"num_heads": 0}, "num_heads must be positive"),
        (SMALL | {"feed_forward_proj": "gated-mish"}, "unknown activation 'mish'"),
        (SMALL | {"dense_act_fn": "quick_gelu"}, "unknown activation 'quick_gelu'"),
        (SMALL | {"feed_forward_proj": "glu-gelu"}, "neither ACT nor gated-ACT"),
        (SMALL | {"eos_token_id": [1, 2]}, "must be one id"),
        (SMALL | {"eos_token_id": 99999}, "outside the vocabulary"),
        (SMALL | {"pad_token_id": 3}, "padding id must be 0"),
        (SMALL | {"relative_attention_num_buckets": 2}, "num_buckets must be at least 4"),
        (SMALL | {"layer_norm_epsilon": 0}, "layer_norm_epsilon must be positive"),
        (SMALL | {"tie_word_embeddings": "no"}, "tie_word_embeddings must be of type bool"),
    ],
)
def test_what_is_no_t5_is_refused_in_one_line(raw, message):
    with pytest.raises(UserError, match=message) as caught:
        config_from_hf(raw, "folder/config.json")
    assert str(caught.value).startswith("folder/config.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("activation", ["relu", "gelu_tanh", "gelu", "silu"])
def test_every_combination_survives_a_round_trip(activation):
    for gated, tied, scaled in itertools.product((True, False), repeat=3):
        config = T5Config(
            num_layers=3,
            num_decoder_layers=5,
            gated=gated,
            activation=activation,
            tied_head=tied,
            scale_logits=scaled,
            dropout_rate=0.25,
            eos_id=4,
        )
        assert config_from_hf(config_to_hf(config)) == config
