"""T5 as flax.linen modules applied purely to a parameter tree.

The model takes embedded inputs and segment ids; it does not know that prompts exist. A row may
hold several examples (segments 1, 2, ...; 0 is padding): tokens attend within their own segment
only, and relative positions are index differences within the row. Layers are scanned, so every
leaf under `encoder/layers` and `decoder/layers` is stacked on axis 0. Leaf names are those of T5X.

Shape letters: B rows, T encoder length, U decoder length, S key length, D d_model, H heads,
K d_kv, L layers, V vocabulary.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.t5 import int8
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.layers import (
    DecoderLayer,
    EncoderLayer,
    Params,
    RelativePositionBias,
    RMSNorm,
    segment_mask,
)

# What the backward pass keeps of each layer: everything it needs, matrix products, or nothing.
REMAT_POLICIES: dict[str, Any] = {
    "none": None,
    "dots": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        jax.checkpoint_policies.save_only_these_names(int8.PRODUCT),
    ),
    "full": jax.checkpoint_policies.nothing_saveable,
}
# Stacks of so few layers are unrolled: the compiler then sees across layers and copies no slices of
# the stacked weights, a fifth to a third of a small model's step on a CPU. Deeper ones would take
# long to compile.
UNROLLED_LAYERS = 4


def _scanned(layer: type[nn.Module], length: int, remat: str, in_axes: tuple[Any, ...]) -> Any:
    """The layer class over stacked parameters: one compiled body, but for shallow stacks."""
    if remat != "none":
        layer = nn.remat(layer, policy=REMAT_POLICIES[remat], prevent_cse=False)
    return nn.scan(
        layer,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=in_axes,
        length=length,
        unroll=length if length <= UNROLLED_LAYERS else 1,
    )


class Encoder(nn.Module):
    config: T5Config
    dtype: Any
    dropout: float
    remat: str
    fused: bool

    def setup(self) -> None:
        cfg, args = self.config, (self.config, self.dtype, self.dropout)
        layers = _scanned(EncoderLayer, cfg.num_layers, self.remat, (nn.broadcast,) * 2)
        self.layers = layers(*args, self.fused)
        self.relpos_bias = RelativePositionBias(cfg, bidirectional=True)
        self.encoder_norm = RMSNorm(cfg.layer_norm_epsilon, self.dtype)
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)

    def __call__(self, x_BTD: Array, segments_BT: Array) -> Array:
        T = x_BTD.shape[1]
        mask = segment_mask(segments_BT, segments_BT)
        x_BTD, _ = self.layers(self.drop(x_BTD), mask, self.relpos_bias(T, T))
        return self.drop(self.encoder_norm(x_BTD))


class Decoder(nn.Module):
    config: T5Config
    dtype: Any
    dropout: float
    remat: str

    def setup(self) -> None:
        cfg, args = self.config, (self.config, self.dtype, self.dropout)
        layers = _scanned(
            DecoderLayer, cfg.num_decoder_layers, self.remat, (0, *(nn.broadcast,) * 5)
        )
        self.layers = layers(*args)
        self.relpos_bias = RelativePositionBias(cfg, bidirectional=False)
        self.decoder_norm = RMSNorm(cfg.layer_norm_epsilon, self.dtype)
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)
        if not cfg.tied_head:
            self.logits_dense = self.param(
                "logits_dense",
                lambda key: {
                    "kernel": nn.initializers.normal(cfg.d_model**-0.5)(
                        key, (cfg.d_model, cfg.vocab_size), jnp.float32
                    )
                },
            )

    def __call__(
        self,
        x_BUD: Array,
        encoded_BTD: Array,
        segments_BU: Array,
        encoder_segments_BT: Array,
        embedding_VD: Array,
    ) -> Array:
        U = x_BUD.shape[1]
        self_mask = segment_mask(segments_BU, segments_BU, causal=True)
        cross_mask = segment_mask(segments_BU, encoder_segments_BT)
        bias = self.relpos_bias(U, U)
        x_BUD, _ = self.layers(self.drop(x_BUD), None, encoded_BTD, 0, self_mask, cross_mask, bias)
        return self.head(x_BUD, embedding_VD)

    def step(
        self,
        x_B1D: Array,
        cache: Params,
        position: Array,
        encoder_segments_BT: Array,
        embedding_VD: Array,
    ) -> tuple[Array, Params]:
        S = cache["self"][0].shape[3]
        self_mask = (jnp.arange(S) <= position)[None, None, None, :]
        cross_mask = (encoder_segments_BT > 0)[:, None, None, :]
        bias = self.relpos_bias(1, S, position)
        layers = {name: x for name, x in cache.items() if name != "encoded"}
        encoded = cache["encoded"][0] if "encoded" in cache else None
        x_B1D, layers = self.layers(x_B1D, layers, encoded, position, self_mask, cross_mask, bias)
        return self.head(x_B1D, embedding_VD), {**cache, **layers}

    def head(self, x_BUD: Array, embedding_VD: Array) -> Array:
        cfg = self.config
        x_BUD = self.drop(self.decoder_norm(x_BUD))
        if cfg.scale_logits:
            x_BUD = x_BUD * jnp.asarray(cfg.d_model**-0.5, self.dtype)
        if cfg.tied_head:
            kernel, product = embedding_VD, "BUD,VD->BUV"
        else:
            kernel, product = self.logits_dense["kernel"], "BUD,DV->BUV"
        return jnp.einsum(
            product, x_BUD, kernel.astype(self.dtype), preferred_element_type=jnp.float32
        )


class T5(nn.Module):
    """One T5. `dropout` 0 is inference; then no random numbers are asked for.

    Apply it to a tree: `T5(config).apply({"params": params}, x_BTD, segments_BT, method="encode")`.
    """

    config: T5Config
    dtype: Any = jnp.float32  # of activations; norms, softmax and logits are float32
    dropout: float = 0.0
    remat: str = "none"  # a key of REMAT_POLICIES
    fused: bool = False  # the encoder's attention by one kernel; it knows no dropout

    def setup(self) -> None:
        cfg, args = self.config, (self.config, self.dtype, self.dropout, self.remat)
        self.token_embedder = nn.Embed(
            cfg.vocab_size, cfg.d_model, embedding_init=nn.initializers.normal(1.0)
        )
        self.encoder, self.decoder = Encoder(*args, self.fused), Decoder(*args)

    def embed(self, ids_BT: Array) -> Array:
        """Rows of the embedding table, `[B, T, D]` in `dtype`."""
        return jnp.take(self.token_embedder.embedding, ids_BT, axis=0).astype(self.dtype)

    def encode(self, x_BTD: Array, segments_BT: Array) -> Array:
        """Encoder output `[B, T, D]` of embedded inputs."""
        return self.encoder(x_BTD.astype(self.dtype), segments_BT)

    def decode(
        self, ids_BU: Array, encoded_BTD: Array, segments_BU: Array, encoder_segments_BT: Array
    ) -> Array:
        """Logits `[B, U, V]` float32 of decoder inputs (targets shifted right)."""
        return self.decoder(
            self.embed(ids_BU),
            encoded_BTD,
            segments_BU,
            encoder_segments_BT,
            self.token_embedder.embedding,
        )

    def step(
        self, ids_B1: Array, cache: Params, position: Array, encoder_segments_BT: Array
    ) -> tuple[Array, Params]:
        """Logits `[B, 1, V]` of one decoder input at `position`, and the cache with it added."""
        return self.decoder.step(
            self.embed(ids_B1),
            cache,
            position,
            encoder_segments_BT,
            self.token_embedder.embedding,
        )

    def __call__(
        self, x_BTD: Array, segments_BT: Array, decoder_ids_BU: Array, decoder_segments_BU: Array
    ) -> Array:
        """Logits `[B, U, V]` float32: encode, then decode."""
        encoded_BTD = self.encode(x_BTD, segments_BT)
        return self.decode(decoder_ids_BU, encoded_BTD, decoder_segments_BU, segments_BT)


def apply(
    model: T5,
    params: Params,
    *args: Any,
    method: str | None = None,
    dropout_key: Array | None = None,
) -> Any:
    """The module as a pure function: `apply(model, params, x, segments, method="encode")`."""
    rngs: Any = {"dropout": dropout_key} if model.dropout else None
    return model.apply({"params": params}, *args, method=method, rngs=rngs)


def init_params(config: T5Config, seed: int = 0) -> Params:
    """A random float32 parameter tree with T5's initialisation, to train from scratch."""
    ids, segments = jnp.zeros((1, 2), jnp.int32), jnp.ones((1, 2), jnp.int32)
    x = jnp.zeros((1, 2, config.d_model))
    init = jax.jit(T5(config).init)  # eager initialisation takes twice as long
    return dict(init(jax.random.key(seed), x, segments, ids, segments)["params"])


@functools.cache
def param_shapes(config: T5Config) -> Params:
    """The parameter tree of `jax.ShapeDtypeStruct` leaves; nothing is allocated."""
    return jax.eval_shape(lambda: init_params(config))


def count_params(config: T5Config) -> int:
    """Number of parameters; plus `length * d_model`, the totals of the paper's Table 4."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(param_shapes(config)))
