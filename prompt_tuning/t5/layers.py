"""The layers of T5: relative positions, norm, attention, MLP, and one layer of each stack.

Shape letters: B rows, T encoder length, U decoder length, S key length, D d_model, H heads,
K d_kv, E = H * K, F d_ff.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.errors import UserError
from prompt_tuning.t5 import int8
from prompt_tuning.t5.config import T5Config

Params = dict[str, Any]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
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


class Dense(nn.Module):
    """A matrix without bias, of floats or, with a `scale` beside it, of int8."""

    features: int
    dtype: Any
    std: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.normal(self.std)
        kernel = self.param("kernel", init, (x.shape[-1], self.features), jnp.float32)
        x = x.astype(self.dtype)
        if self.has_variable("params", "scale"):
            return int8.product(x, kernel, self.get_variable("params", "scale"))
        dimensions = (((x.ndim - 1,), (0,)), ((), ()))
        return jax.lax.dot_general(x, kernel.astype(self.dtype), dimensions)


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


class AttentionDropout(nn.Module):
    """Dropout of attention weights `[B, H, U, S]`, one mask for all queries, as in T5.

    A mask element depends on its row, head and key position alone, not on the shape around it, so
    that a run's masks are the same whatever its batch is padded to.
    """

    rate: float

    @nn.compact
    def __call__(self, weights: Array) -> Array:
        if not self.rate:
            return weights
        B, H, _, S = weights.shape
        fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
        keys_S = fold(self.make_rng("dropout"), jnp.arange(S))
        keep_SBH = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, (B, H)))(keys_S)
        keep = jnp.moveaxis(keep_SBH, 0, -1)[:, :, None, :]
        return jnp.where(keep, weights / (1 - self.rate), jnp.zeros_like(weights))


class Attention(nn.Module):
    """Multi-head attention without biases and without scaling of the scores (T5: init does)."""

    config: T5Config
    dtype: Any
    dropout: float
    fused: bool = False  # by one kernel, which keeps no weights; see `fused_attention`

    def setup(self) -> None:
        cfg = self.config
        d, e = cfg.d_model, cfg.d_attention
        self.query = Dense(e, self.dtype, (d * cfg.d_kv) ** -0.5)
        self.key = Dense(e, self.dtype, d**-0.5)
        self.value = Dense(e, self.dtype, d**-0.5)
        self.out = Dense(d, self.dtype, e**-0.5)
        self.drop = AttentionDropout(self.dropout)

    def heads(self, x_BTE: Array) -> Array:
        """`[B, H, T, K]`: heads in front make plain batched products, which CPUs run fastest."""
        x_BTHK = x_BTE.reshape(*x_BTE.shape[:-1], self.config.num_heads, self.config.d_kv)
        return jnp.swapaxes(x_BTHK, -3, -2)

    def keys_values(self, x_BSD: Array) -> tuple[Array, Array]:
        return self.heads(self.key(x_BSD)), self.heads(self.value(x_BSD))

    def __call__(
        self, x_BUD: Array, kv_BHSK: tuple[Array, Array], mask: Array, bias: Array | None
    ) -> Array:
        k_BHSK, v_BHSK = kv_BHSK
        q_BHUK = self.heads(self.query(x_BUD))
        if self.fused:
            return self.merge(fused_attention(q_BHUK, k_BHSK, v_BHSK, mask, bias))
        scores = jnp.einsum("BHUK,BHSK->BHUS", q_BHUK, k_BHSK, preferred_element_type=jnp.float32)
        if bias is not None:
            scores = scores + bias
        y_BHUK = jnp.einsum("BHUS,BHSK->BHUK", self.weights(scores, mask), v_BHSK)
        return self.merge(y_BHUK)

    def weights(self, scores: Array, mask: Array) -> Array:
        scores = jnp.where(mask, scores, MASKED)
        return self.drop(jax.nn.softmax(scores, axis=-1).astype(self.dtype))

    def merge(self, y_BHUK: Array) -> Array:
        y_BUHK = jnp.swapaxes(y_BHUK, -3, -2)
        return self.out(y_BUHK.reshape(*y_BUHK.shape[:-2], self.config.d_attention))

    def of_few(self, x_BUD: Array, encoded_BSD: Array, mask: Array) -> Array:
        """`self(x, self.keys_values(encoded), mask, None)` for few queries U and many keys S.

        The queries go through the key's matrix, and weighted sums of the encoder's output through
        the value's: U / K of the operations of projecting it, and no keys and values to keep.
        """
        q_BHUK = self.heads(self.query(x_BUD))
        q_BHUD = jnp.einsum("BHUK,DHK->BHUD", q_BHUK, self.matrix(self.key))
        scores = jnp.einsum(
            "BHUD,BSD->BHUS", q_BHUD, encoded_BSD, preferred_element_type=jnp.float32
        )
        y_BHUD = jnp.einsum("BHUS,BSD->BHUD", self.weights(scores, mask), encoded_BSD)
        return self.merge(jnp.einsum("BHUD,DHK->BHUK", y_BHUD, self.matrix(self.value)))

    def matrix(self, dense: Dense) -> Array:
        """The weights of a projection to heads, `[D, H, K]`."""
        kernel = dense.get_variable("params", "kernel").astype(self.dtype)
        return kernel.reshape(-1, self.config.num_heads, self.config.d_kv)


def fused_attention(
    q_BHUK: Array, k_BHSK: Array, v_BHSK: Array, mask: Array, bias: Array | None
) -> Array:
    """T5's attention, unscaled and with its bias, by cuDNN on GPUs (bfloat16 only).

    Elsewhere XLA's own composition of the same function computes it. Raises UserError for another
    type on a GPU.
    """
    gpu = jax.default_backend() == "gpu"
    if gpu and q_BHUK.dtype != jnp.bfloat16:
        raise UserError("fused_attention on a GPU computes in bfloat16: set dtype=bfloat16")
    q, k, v = (jnp.swapaxes(x, -3, -2) for x in (q_BHUK, k_BHSK, v_BHSK))
    bias = None if bias is None else bias.astype(q.dtype)
    y_BUHK = jax.nn.dot_product_attention(
        q, k, v, bias=bias, mask=mask, scale=1.0, implementation="cudnn" if gpu else "xla"
    )
    return jnp.swapaxes(y_BUHK, -3, -2)


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
            x_BTF = act(Dense(cfg.d_ff, self.dtype, std, name="wi_0")(x_BTD))
            x_BTF = x_BTF * Dense(cfg.d_ff, self.dtype, std, name="wi_1")(x_BTD)
        else:
            x_BTF = act(Dense(cfg.d_ff, self.dtype, std, name="wi")(x_BTD))
        x_BTF = nn.Dropout(self.dropout, broadcast_dims=(-2,), deterministic=False)(x_BTF)
        return Dense(cfg.d_model, self.dtype, cfg.d_ff**-0.5, name="wo")(x_BTF)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each behind a norm and in front of a residual connection."""

    config: T5Config
    dtype: Any
    dropout: float
    fused: bool

    def setup(self) -> None:
        args = (self.config, self.dtype, self.dropout)
        self.attention, self.mlp = Attention(*args, self.fused), MLP(*args)
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
        if cache is not None:
            insert = functools.partial(jax.lax.dynamic_update_slice_in_dim, axis=2)
            k, v = cache["self"]
            kv = insert(k, kv[0], position), insert(v, kv[1], position)
        x_BUD = x_BUD + self.drop(self.self_attention(y, kv, self_mask, bias))
        y = self.pre_cross_attention_layer_norm(x_BUD)
        cross = self.encoder_decoder_attention
        if encoded_BTD is None:
            assert cache is not None
            y = cross(y, cache["cross"], cross_mask, None)
        elif cache is not None or self.few(x_BUD.shape[-2]):
            y = cross.of_few(y, encoded_BTD, cross_mask)
        else:
            y = cross(y, cross.keys_values(encoded_BTD), cross_mask, None)
        x_BUD = x_BUD + self.drop(y)
        x_BUD = x_BUD + self.drop(self.mlp(self.pre_mlp_layer_norm(x_BUD)))
        return x_BUD, None if cache is None else {"self": kv}  # what a step changes

    def few(self, U: int) -> bool:
        """Whether `Attention.of_few` is to be used; there must be weights, and not of int8."""
        quantized = self.encoder_decoder_attention.key.has_variable("params", "scale")
        return few_queries(self.config, U) and not (quantized or self.is_initializing())


def few_queries(config: T5Config, U: int) -> bool:
    """Whether a decoder of U tokens saves work by not projecting the encoder's output."""
    return config.d_kv >= 2 * U  # batched products are the slower ones
