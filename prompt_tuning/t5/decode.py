"""Greedy and beam decoding with a key/value cache, and log-likelihoods of given targets.

Everything here starts from one encoder pass, takes one example a row (segments 1, padding 0) where
it does not say otherwise, and is pure: jit it where it is called. Shape letters: B rows, T encoder
length, U decoder length, E examples in a row, N targets of an example, W beams, D d_model,
V vocabulary, L layers.
"""

import jax
import jax.numpy as jnp
from jax import Array

from prompt_tuning.t5 import int8
from prompt_tuning.t5.layers import Params, few_queries
from prompt_tuning.t5.model import T5, apply

NEVER = -1.0e7  # the log-probability of a beam that does not exist; finite so that sums stay finite


def shift_right(targets_BU: Array, start_id: int = 0) -> Array:
    """Decoder inputs of the targets: the start token, then all targets but the last."""
    start = jnp.full_like(targets_BU[..., :1], start_id)
    return jnp.concatenate([start, targets_BU[..., :-1]], axis=-1)


def start_cache(model: T5, params: Params, encoded_BTD: Array, max_length: int) -> Params:
    """An empty self-attention cache `[L, B, H, U, K]`, and what the cross-attention reads.

    That is its "cross" keys and values or, for few tokens, the "encoded" input `[1, B, T, D]`.
    """
    cfg = model.config
    cross = params["decoder"]["layers"]["encoder_decoder_attention"]
    shape = (cfg.num_decoder_layers, len(encoded_BTD), cfg.num_heads, max_length, cfg.d_kv)
    empty = jnp.zeros(shape, model.dtype)
    if few_queries(cfg, max_length) and "scale" not in cross["key"]:
        return {"self": (empty, empty), "encoded": encoded_BTD[None]}

    def project(name: str) -> Array:
        layers = cross[name]
        if "scale" in layers:  # layer by layer: no float copy of all layers' weights
            pairs = layers["kernel"], layers["scale"]
            out = jax.lax.map(lambda pair: int8.product(encoded_BTD, *pair), pairs)
        else:
            kernel = layers["kernel"].astype(model.dtype)
            out = jnp.einsum("BTD,LDE->LBTE", encoded_BTD, kernel)
        return jnp.swapaxes(out.reshape(*out.shape[:-1], cfg.num_heads, cfg.d_kv), -3, -2)

    return {"self": (empty, empty), "cross": (project("key"), project("value"))}


def greedy(
    model: T5, params: Params, encoded_BTD: Array, segments_BT: Array, max_length: int
) -> Array:
    """The most likely token at every step, int32 `[B, max_length]`, padded after the first EOS."""
    cfg = model.config
    B = len(encoded_BTD)

    def unfinished(state: tuple) -> Array:
        position, _, done_B, _, _ = state
        return (position < max_length) & ~done_B.all()

    def advance(state: tuple) -> tuple:
        position, last_B1, done_B, ids_BU, cache = state
        logits, cache = apply(model, params, last_B1, cache, position, segments_BT, method="step")
        next_B = jnp.argmax(logits[:, 0], axis=-1).astype(jnp.int32)
        next_B = jnp.where(done_B, cfg.pad_id, next_B)
        ids_BU = ids_BU.at[:, position].set(next_B)
        return position + 1, next_B[:, None], done_B | (next_B == cfg.eos_id), ids_BU, cache

    state = (
        jnp.int32(0),
        jnp.full((B, 1), cfg.decoder_start_id, jnp.int32),
        jnp.zeros(B, bool),
        jnp.full((B, max_length), cfg.pad_id, jnp.int32),
        start_cache(model, params, encoded_BTD, max_length),
    )
    return jax.lax.while_loop(unfinished, advance, state)[3]


def beam_search(
    model: T5,
    params: Params,
    encoded_BTD: Array,
    segments_BT: Array,
    max_length: int,
    beams: int = 4,
    alpha: float = 0.6,
) -> tuple[Array, Array]:
    """The `beams` best sequences of each row, int32 `[B, W, max_length]`, and scores `[B, W]`.

    Scores are log-probabilities over ((5 + length) / 6) ** alpha, best first (T5X `decoding.py`,
    beam_search; the released configuration is 4 beams and alpha 0.6). A sequence that meets no EOS
    within `max_length` competes only where fewer than `beams` sequences have ended.
    """
    cfg = model.config
    B, W = len(encoded_BTD), beams

    def penalty(length: Array) -> Array:
        return ((5.0 + length.astype(jnp.float32)) / 6.0) ** alpha

    def take(x: Array, index_BW: Array) -> Array:
        return jnp.take_along_axis(x, index_BW.reshape(*index_BW.shape, *[1] * (x.ndim - 2)), 1)

    def reorder(x_LN: Array, index_BW: Array) -> Array:
        rows = (jnp.arange(B)[:, None] * W + index_BW).reshape(-1)
        return jnp.take(x_LN, rows, axis=1)

    def unfinished(state: tuple) -> Array:
        position, alive_BW, _, _, ended_BW, _ = state
        best_to_come_B = alive_BW[:, 0] / penalty(jnp.int32(max_length))
        return (position < max_length) & (best_to_come_B > ended_BW[:, -1]).any()

    def advance(state: tuple) -> tuple:
        position, alive_BW, alive_BWU, ended_BWU, ended_BW, cache = state
        last = jnp.where(
            position == 0, cfg.decoder_start_id, alive_BWU[:, :, jnp.maximum(position - 1, 0)]
        )
        logits, cache = apply(
            model,
            params,
            last.reshape(B * W, 1),
            cache,
            position,
            jnp.repeat(segments_BT, W, axis=0),
            method="step",
        )
        logp_BWV = jax.nn.log_softmax(logits[:, 0]).reshape(B, W, -1) + alive_BW[:, :, None]
        # Twice as many candidates as beams: even if half of them end, W stay alive.
        logp_BX, flat_BX = jax.lax.top_k(logp_BWV.reshape(B, -1), 2 * W)
        parent_BX, token_BX = flat_BX // cfg.vocab_size, flat_BX % cfg.vocab_size
        ids_BXU = take(alive_BWU, parent_BX).at[:, :, position].set(token_BX.astype(jnp.int32))
        ends_BX = token_BX == cfg.eos_id

        scores_BX = jnp.where(ends_BX, logp_BX / penalty(position + 1), NEVER)
        ended_BW, kept = jax.lax.top_k(jnp.concatenate([ended_BW, scores_BX], 1), W)
        ended_BWU = take(jnp.concatenate([ended_BWU, ids_BXU], 1), kept)

        alive_BW, kept = jax.lax.top_k(jnp.where(ends_BX, NEVER, logp_BX), W)
        parent_BW = jnp.take_along_axis(parent_BX, kept, 1)
        cache = {**cache, "self": tuple(reorder(x, parent_BW) for x in cache["self"])}
        return position + 1, alive_BW, take(ids_BXU, kept), ended_BWU, ended_BW, cache

    ids = jnp.full((B, W, max_length), cfg.pad_id, jnp.int32)
    first = jnp.where(jnp.arange(W) == 0, 0.0, NEVER)  # all beams start equal: keep one of them
    alive = jnp.repeat(first[None, :], B, axis=0)
    never = jnp.full((B, W), NEVER)
    cache = start_cache(model, params, encoded_BTD, max_length)
    cache = jax.tree.map(lambda x: jnp.repeat(x, W, axis=1), cache)
    state = (jnp.int32(0), alive, ids, ids, never, cache)
    state = jax.lax.while_loop(unfinished, advance, state)
    _, alive_BW, alive_BWU, ended_BWU, ended_BW, _ = state
    # Unended sequences, best first as well, stand behind the ended ones.
    ended_B1 = (ended_BW > NEVER / 2).sum(1, keepdims=True)
    place_BW = jnp.arange(W)[None, :]
    place_BW = jnp.where(place_BW < ended_B1, place_BW, W + place_BW - ended_B1)
    scores_BX = jnp.concatenate([ended_BW, alive_BW / penalty(jnp.int32(max_length))], 1)
    ids_BXU = jnp.concatenate([ended_BWU, alive_BWU], 1)
    return take(ids_BXU, place_BW), take(scores_BX, place_BW)


def score_targets(
    model: T5, params: Params, encoded_BTD: Array, segments_BT: Array, targets_BNU: Array
) -> Array:
    """Log-likelihood of N targets (EOS included, padded with 0) of each row, float32 `[B, N]`.

    The encoder output is shared by the N targets.
    """
    args = (model, params, encoded_BTD, segments_BT, targets_BNU[:, None])
    return score_packed_targets(*args)[:, 0]


def score_packed_targets(
    model: T5, params: Params, encoded_BTD: Array, segments_BT: Array, targets_BENU: Array
) -> Array:
    """`score_targets` of rows that hold up to E examples, segments 1 ... E: `[B, E, N]`."""
    cfg = model.config
    B, E, _, U = targets_BENU.shape

    def one(targets_BEU: Array) -> Array:
        valid_BEU = targets_BEU != cfg.pad_id
        inputs_BEU = shift_right(targets_BEU, cfg.decoder_start_id)
        numbers_E = jnp.arange(1, E + 1, dtype=jnp.int32)
        segments_BEU = jnp.where(valid_BEU, numbers_E[None, :, None], 0)
        flat = (inputs_BEU.reshape(B, E * U), encoded_BTD, segments_BEU.reshape(B, E * U))
        logits = apply(model, params, *flat, segments_BT, method="decode")
        logp_BEUV = jax.nn.log_softmax(logits).reshape(B, E, U, -1)
        logp_BEU = jnp.take_along_axis(logp_BEUV, targets_BEU[..., None], -1)[..., 0]
        return jnp.where(valid_BEU, logp_BEU, 0.0).sum(-1)

    # One after the other: together their logits would fill the memory where N is large.
    return jnp.moveaxis(jax.lax.map(one, jnp.moveaxis(targets_BENU, 2, 0)), 0, 2)
