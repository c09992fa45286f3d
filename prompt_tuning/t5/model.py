"""T5 as flax.linen modules applied purely to a parameter tree.

The model takes embedded inputs and segment ids; it does not know that prompts exist. A row may hold
several examples (segments 1, 2, ...; 0 is padding): tokens attend within their own segment only, and
relative positions are index differences within the row. Layers are scanned, so every leaf under
`encoder/layers` and `decoder/layers` is stacked on axis 0. Leaf names are those of T5X.

Shape letters: B rows, T encoder length, U decoder length, S key length, D d_model, H heads,
K d_kv, E = H * K, F d_ff, L layers, V vocabulary.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.t5.config import T5Config

Params = dict[str, Any]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
}
# What the backward pass keeps of each layer: everything it needs, matrix products, or nothing.
REMAT_POLICIES: dict[str, Any] = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}
MASKED = -1e10  # finite: a row of padding attends uniformly instead of giving NaN


def relative_position_buckets(
    distance: np.ndarray, *, bidirectional: bool, num_buckets: int, max_distance: int
) -> np.ndarray:
    """The bucket of each signed distance (key position - query position), int32, same shape.

    Half of the buckets are exact, the rest logarithmic up to `max_distance` (T5X `layers.py`,
    RelativePositionBiases). Computed on the host in float64, so every device agrees.
    """
    bucket = np.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        bucket = np.where(distance > 0, num_buckets, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = num_buckets // 2
    # The small constant keeps exact powers (distance 16 of 8, say) on their own side of floor.
    ratio = np.log(np.maximum(distance, 1) / exact + 1e-9) / np.log(max_distance / exact)
    far = np.minimum(exact + (ratio * (num_buckets - exact)).astype(np.int64), num_buckets - 1)
    return (bucket + np.where(distance < exact, distance, far)).astype(np.int32)


def segment_mask(query_BU: Array, key_BS: Array, causal: bool = False) -> Array:
    """Which key each query may see, bool `[B, 1, U, S]`: the same segment and not padding."""
    mask = (query_BU[:, :, None] == key_BS[:, None, :]) & (key_BS[:, None, :] > 0)
    if causal:
        U, S = query_BU.shape[1], key_BS.shape[1]
        mask &= (jnp.arange(U)[:, None] >= jnp.arange(S)[None, :])[None]
    return mask[:, None]


class RMSNorm(nn.Module):
    """T5's layer norm: no mean, no bias, statistics in float32."""

    epsilon: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x32 = x.astype(jnp.float32)
        x32 = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, -1, keepdims=True) + self.epsilon)
        scale = jnp.expand_dims(scale, range(x.ndim - 1))
        return x32.astype(self.dtype) * scale.astype(self.dtype)


def _dense(features: int, dtype: Any, std: float, name: str | None = None) -> nn.Dense:
    init = nn.initializers.normal(std)
    return nn.Dense(features, use_bias=False, dtype=dtype, kernel_init=init, name=name)


class RelativePositionBias(nn.Module):
    """The bias that one stack adds to all its self-attention scores, `[1, H, U, S]` float32."""

    config: T5Config
    bidirectional: bool

    @nn.compact
    def __call__(self, U: int, S: int, offset: Array | int = 0) -> Array:
        """The bias of queries at positions offset ... offset + U - 1 to keys at 0 ... S - 1."""
        cfg = self.config
        table_HN = self.param(
            "rel_embedding",
            nn.initializers.normal(cfg.d_model**-0.5),
            (cfg.num_heads, cfg.num_buckets),
            jnp.float32,
        )
        reach = max(U, S)  # all distances that occur: -(reach - 1) ... reach - 1
        buckets = relative_position_buckets(
            np.arange(1 - reach, reach),
            bidirectional=self.bidirectional,
            num_buckets=cfg.num_buckets,
            max_distance=cfg.max_distance,
        )
        by_distance_HN = table_HN.astype(jnp.float32)[:, buckets]
        distance_US = jnp.arange(S)[None, :] - (jnp.arange(U) + offset)[:, None]
        return by_distance_HN[:, distance_US + (reach - 1)][None]


class Attention(nn.Module):
    """Multi-head attention without biases and without scaling of the scores (T5 folds it into init)."""

    config: T5Config
    dtype: Any
    dropout: float

    def setup(self) -> None:
        cfg = self.config
        d, e = cfg.d_model, cfg.d_attention
        self.query = _dense(e, self.dtype, (d * cfg.d_kv) ** -0.5)
        self.key = _dense(e, self.dtype, d**-0.5)
        self.value = _dense(e, self.dtype, d**-0.5)
        self.out = _dense(d, self.dtype, e**-0.5)
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)

    def heads(self, x_BTE: Array) -> Array:
        return x_BTE.reshape(*x_BTE.shape[:-1], self.config.num_heads, self.config.d_kv)

    def keys_values(self, x_BSD: Array) -> tuple[Array, Array]:
        return self.heads(self.key(x_BSD)), self.heads(self.value(x_BSD))

    def __call__(
        self, x_BUD: Array, kv_BSHK: tuple[Array, Array], mask: Array, bias: Array | None
    ) -> Array:
        k_BSHK, v_BSHK = kv_BSHK
        q_BUHK = self.heads(self.query(x_BUD))
        scores = jnp.einsum("BUHK,BSHK->BHUS", q_BUHK, k_BSHK, preferred_element_type=jnp.float32)
        if bias is not None:
            scores = scores + bias
        scores = jnp.where(mask, scores, MASKED)
        weights = self.drop(jax.nn.softmax(scores, axis=-1).astype(self.dtype))
        y_BUHK = jnp.einsum("BHUS,BSHK->BUHK", weights, v_BSHK)
        return self.out(y_BUHK.reshape(*y_BUHK.shape[:-2], self.config.d_attention))


class MLP(nn.Module):
    """act(x wi_0) * (x wi_1) wo in T5 1.1; act(x wi) wo in T5 1.0."""

    config: T5Config
    dtype: Any
    dropout: float

    @nn.compact
    def __call__(self, x_BTD: Array) -> Array:
        cfg, std = self.config, self.config.d_model**-0.5
        act = ACTIVATIONS[cfg.activation]
        if cfg.gated:
            x_BTF = act(_dense(cfg.d_ff, self.dtype, std, "wi_0")(x_BTD))
            x_BTF = x_BTF * _dense(cfg.d_ff, self.dtype, std, "wi_1")(x_BTD)
        else:
            x_BTF = act(_dense(cfg.d_ff, self.dtype, std, "wi")(x_BTD))
        x_BTF = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)(x_BTF)
        return _dense(cfg.d_model, self.dtype, cfg.d_ff**-0.5, "wo")(x_BTF)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each behind a norm and in front of a residual connection."""

    config: T5Config
    dtype: Any
    dropout: float

    def setup(self) -> None:
        args = (self.config, self.dtype, self.dropout)
        self.attention, self.mlp = Attention(*args), MLP(*args)
        self.pre_attention_layer_norm = RMSNorm(self.config.layer_norm_epsilon, self.dtype)
        self.pre_mlp_layer_norm = RMSNorm(self.config.layer_norm_epsilon, self.dtype)
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)

    def __call__(self, x_BTD: Array, mask: Array, bias: Array) -> tuple[Array, None]:
        y = self.pre_attention_layer_norm(x_BTD)
        x_BTD = x_BTD + self.drop(self.attention(y, self.attention.keys_values(y), mask, bias))
        return x_BTD + self.drop(self.mlp(self.pre_mlp_layer_norm(x_BTD))), None


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and MLP; with a cache, one step of all three."""

    config: T5Config
    dtype: Any
    dropout: float

    def setup(self) -> None:
        args = (self.config, self.dtype, self.dropout)
        norm = functools.partial(RMSNorm, self.config.layer_norm_epsilon, self.dtype)
        self.self_attention, self.encoder_decoder_attention = Attention(*args), Attention(*args)
        self.mlp = MLP(*args)
        self.pre_self_attention_layer_norm = norm()
        self.pre_cross_attention_layer_norm = norm()
        self.pre_mlp_layer_norm = norm()
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)

    def __call__(
        self,
        x_BUD: Array,
        cache: Params | None,
        encoded_BTD: Array | None,
        position: Array | int,
        self_mask: Array,
        cross_mask: Array,
        bias: Array,
    ) -> tuple[Array, Params | None]:
        y = self.pre_self_attention_layer_norm(x_BUD)
        kv = self.self_attention.keys_values(y)
        if cache is None:
            assert encoded_BTD is not None
            cross_kv = self.encoder_decoder_attention.keys_values(encoded_BTD)
        else:
            kv = tuple(
                jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), position, axis=1)
                for old, new in zip(cache["self"], kv, strict=True)
            )
            cross_kv, cache = cache["cross"], {"self": kv, "cross": cache["cross"]}
        x_BUD = x_BUD + self.drop(self.self_attention(y, kv, self_mask, bias))
        y = self.pre_cross_attention_layer_norm(x_BUD)
        x_BUD = x_BUD + self.drop(self.encoder_decoder_attention(y, cross_kv, cross_mask, None))
        return x_BUD + self.drop(self.mlp(self.pre_mlp_layer_norm(x_BUD))), cache


def _scanned(layer: type[nn.Module], length: int, remat: str, in_axes: tuple[Any, ...]) -> Any:
    """The layer class over stacked parameters: one compiled body whatever the depth."""
    if remat != "none":
        layer = nn.remat(layer, policy=REMAT_POLICIES[remat], prevent_cse=False)
    return nn.scan(
        layer,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=in_axes,
        length=length,
    )


class Encoder(nn.Module):
    config: T5Config
    dtype: Any
    dropout: float
    remat: str

    def setup(self) -> None:
        cfg, args = self.config, (self.config, self.dtype, self.dropout)
        layers = _scanned(EncoderLayer, cfg.num_layers, self.remat, (nn.broadcast,) * 2)
        self.layers = layers(*args)
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
        S = cache["self"][0].shape[2]
        self_mask = (jnp.arange(S) <= position)[None, None, None, :]
        cross_mask = (encoder_segments_BT > 0)[:, None, None, :]
        bias = self.relpos_bias(1, S, position)
        x_B1D, cache = self.layers(x_B1D, cache, None, position, self_mask, cross_mask, bias)
        return self.head(x_B1D, embedding_VD), cache

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

    def setup(self) -> None:
        cfg, args = self.config, (self.config, self.dtype, self.dropout, self.remat)
        self.token_embedder = nn.Embed(
            cfg.vocab_size, cfg.d_model, embedding_init=nn.initializers.normal(1.0)
        )
        self.encoder, self.decoder = Encoder(*args), Decoder(*args)

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


def init_params(config: T5Config, seed: int = 0) -> Params:
    """A random float32 parameter tree (T5's initialisation); only tests and model tuning start here."""
    ids, segments = jnp.zeros((1, 2), jnp.int32), jnp.ones((1, 2), jnp.int32)
    x = jnp.zeros((1, 2, config.d_model))
    return T5(config).init(jax.random.key(seed), x, segments, ids, segments)["params"]


@functools.cache
def param_shapes(config: T5Config) -> Params:
    """The parameter tree of `jax.ShapeDtypeStruct` leaves; nothing is allocated."""
    return jax.eval_shape(lambda: init_params(config))


def count_params(config: T5Config) -> int:
    """Number of parameters; with `d_model * length` for a prompt, the totals of the paper's Table 4."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(param_shapes(config)))
