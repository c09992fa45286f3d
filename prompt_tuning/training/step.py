"""The training step of a population of R runs over one frozen model; a single run is R = 1.

Runs share the forward and backward pass through `vmap` over what is trained: the frozen weights
stay unbatched, so their products see all runs' rows at once. Each run's update is its own (`vmap`
over runs of one shape and optimiser; runs of another are another group).
Shape letters: R runs, B rows, T encoder length, U decoder length, V vocabulary, P rows, D d_model.
"""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import Array

from prompt_tuning.prompts.table import embed
from prompt_tuning.t5.model import T5, apply
from prompt_tuning.training import trees
from prompt_tuning.training.batches import Batch
from prompt_tuning.training.optimizer import OptimizerConfig, make_optimizer

Metrics = dict[str, Array]


class State(flax.struct.PyTreeNode):
    """All that training changes: lists with an entry a group; leaves lead with its runs."""

    step: Array  # int32, updates done
    trainable: list[Any]
    optimizer: list[Any]


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs whose trainable shapes and optimiser settings agree, but for the two rates."""

    members: tuple[int, ...]
    optimizer: OptimizerConfig
    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Objective:
    """What one run's loss depends on besides parameters and data."""

    model: T5
    z_loss: float
    loss: str
    micro_batches: int


def run_loss(
    trainable: Any, frozen: Any, batch: Batch, key: Array, objective: Objective
) -> tuple[Array, Metrics]:
    """Summed cross-entropy (with z-loss) of one run's rows, and its sums. Softmax in float32."""
    params = trees.merge(trainable, frozen)
    model, weights = objective.model, params["model"]
    prompts = params["prompt"]["table"][None] if "prompt" in params else None
    x_BTD = embed(weights["token_embedder"]["embedding"], prompts, batch.ids_BT)
    args = (batch.segments_BT, batch.decoder_ids_BU, batch.target_segments_BU)
    logits_BUV = apply(model, weights, x_BTD, *args, dropout_key=key)
    log_z_BU = jax.nn.logsumexp(logits_BUV, axis=-1)
    at = batch.targets_BU[:, :, None]
    nll_BU = log_z_BU - jnp.take_along_axis(logits_BUV, at, axis=-1)[:, :, 0]
    real_BU = batch.target_segments_BU > 0
    correct_BU = jnp.argmax(logits_BUV, axis=-1) == batch.targets_BU
    nll = jnp.where(real_BU, nll_BU, 0.0).sum()
    z = jnp.where(real_BU, log_z_BU**2, 0.0).sum() * objective.z_loss
    sums = {
        "nll": nll,
        "correct": (real_BU & correct_BU).sum().astype(jnp.float32),
        "tokens": real_BU.sum().astype(jnp.float32),
    }
    return nll + z, sums


def population_loss(
    trainable: list[Any],
    frozen: Any,
    batch: Batch,
    keys: Array,
    scales: Array,
    objective: Objective,
    members: tuple[tuple[int, ...], ...],
) -> tuple[Array, Metrics]:
    """Sum over runs of their scaled losses: runs share no trainables, so gradients are each own."""

    def one(tree: Any, rows: Batch, key: Array) -> tuple[Array, Metrics]:
        return run_loss(tree, frozen, rows, key, objective)

    losses_R, sums_R = jax.vmap(one)(trees.assemble(trainable, members), batch, keys)
    return (losses_R * scales).sum(), sums_R


def train_step(
    state: State,
    frozen: Any,
    batch: Batch,
    keys: Array,
    rates: list[tuple[Array, Array]],
    *,
    objective: Objective,
    groups: tuple[Group, ...],
    labels: Any,
) -> tuple[State, Metrics]:
    """One update of every run. Metrics `[R]` are of the parameters before it.

    batch: leaves `[R, B, ...]`; keys: one for each run; rates: learning rates and weight decays of
    each group. Jit with `state` donated; `frozen` is never donated and never in the state.
    """
    members = tuple(group.members for group in groups)
    tokens_R = (batch.target_segments_BU > 0).sum((1, 2)).astype(jnp.float32)
    mean = objective.loss == "mean"
    scales_R = 1.0 / jnp.maximum(tokens_R, 1.0) if mean else jnp.ones_like(tokens_R)

    def gradient(part: Batch, keys: Array) -> tuple[list[Any], Metrics]:
        args = (state.trainable, frozen, part, keys, scales_R, objective, members)
        (_, sums), grads = jax.value_and_grad(population_loss, has_aux=True)(*args)
        return grads, sums

    if objective.micro_batches == 1:
        grads, sums = gradient(batch, keys)
    else:
        n = objective.micro_batches
        parts = Batch(*(_cut(x, n) for x in batch))
        part_keys = jax.vmap(lambda key: jax.random.split(key, n), out_axes=1)(keys)
        first = jax.tree.map(lambda x: x[0], (parts, part_keys))
        zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(gradient, *first))

        def accumulate(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, gradient(*part)), None

        (grads, sums), _ = jax.lax.scan(accumulate, zeros, (parts, part_keys))

    trainable, optimizer, update_rms = [], [], []
    for g, group in enumerate(groups):

        def update(
            grad: Any, opt: Any, params: Any, rate: Array, decay: Array, config=group.optimizer
        ):
            tx = make_optimizer(config, labels, rate, decay)
            updates, opt = tx.update(grad, opt, params)
            return optax.apply_updates(params, updates), opt, _rms(updates)

        result = jax.vmap(update)(grads[g], state.optimizer[g], state.trainable[g], *rates[g])
        for out, value in zip((trainable, optimizer, update_rms), result, strict=True):
            out.append(value)
    order = jnp.argsort(jnp.asarray([run for runs in members for run in runs]))
    norms = jnp.concatenate([jax.vmap(_row_norm)(tree) for tree in state.trainable])
    metrics = {
        "loss": sums["nll"] / jnp.maximum(sums["tokens"], 1.0),
        "accuracy": sums["correct"] / jnp.maximum(sums["tokens"], 1.0),
        "norm": norms[order],
        "update_rms": jnp.concatenate(update_rms)[order],
    }
    return State(state.step + 1, trainable, optimizer), metrics


def _cut(x_RB: Array, parts: int) -> Array:
    """`[R, B, ...]` as `[parts, R, B / parts, ...]`.

    A part takes every parts-th row: where devices share the rows, each has its share of every part.
    """
    return jnp.moveaxis(x_RB.reshape(x_RB.shape[0], -1, parts, *x_RB.shape[2:]), 2, 0)


def _rms(tree: Any) -> Array:
    leaves = jax.tree.leaves(tree)
    return jnp.sqrt(sum((x**2).sum() for x in leaves) / sum(x.size for x in leaves))


def _row_norm(tree: Any) -> Array:
    """Mean Euclidean norm of the prompt's rows; of a tuned model, the norm of all its weights."""
    if "prompt" in tree and jax.tree.leaves(tree["prompt"]):
        return jnp.linalg.norm(tree["prompt"]["table"], axis=-1).mean()
    return optax.tree.norm(tree)
