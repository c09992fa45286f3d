"""The training step of a population of R runs over one frozen model; a single run is R = 1.

Runs share the forward and backward pass through `vmap` over what is trained: the frozen weights
stay unbatched, so their products see all runs' rows at once. Each run's update is its own (`vmap`
over runs of one shape and optimiser; runs of another are another group).
Shape letters: R runs, B rows, T encoder length, U decoder length, V vocabulary, P rows, D d_model.
"""

import dataclasses
import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from prompt_tuning.prompts.table import embed
from prompt_tuning.t5.model import T5, apply
from prompt_tuning.training import trees
from prompt_tuning.training.batches import Batch, Parts
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


def token_losses(
    weights: Any, prompts_RPD: Any, batch: Batch, key: Array | None, objective: Objective
) -> tuple[Array, Metrics]:
    """Cross-entropy with z-loss of every target token, and what metrics sum: all `[B, U]`, 0 at
    padding. Softmax in float32.
    """
    x_BTD = embed(weights["token_embedder"]["embedding"], prompts_RPD, batch.ids_BT)
    args = (batch.segments_BT, batch.decoder_ids_BU, batch.target_segments_BU)
    logits_BUV = apply(objective.model, weights, x_BTD, *args, dropout_key=key)
    log_z_BU = jax.nn.logsumexp(logits_BUV, axis=-1)
    at = batch.targets_BU[:, :, None]
    nll_BU = log_z_BU - jnp.take_along_axis(logits_BUV, at, axis=-1)[:, :, 0]
    real_BU = batch.target_segments_BU > 0
    correct_BU = jnp.argmax(logits_BUV, axis=-1) == batch.targets_BU
    nll_BU = jnp.where(real_BU, nll_BU, 0.0)
    sums = {
        "nll": nll_BU,
        "correct": (real_BU & correct_BU).astype(jnp.float32),
        "tokens": real_BU.astype(jnp.float32),
    }
    return nll_BU + jnp.where(real_BU, log_z_BU**2, 0.0) * objective.z_loss, sums


def run_loss(
    trainable: Any, frozen: Any, batch: Batch, key: Array, objective: Objective
) -> tuple[Array, Metrics]:
    """Summed loss of one run's rows, and its sums."""
    params = trees.merge(trainable, frozen)
    prompts = params["prompt"]["table"][None] if "prompt" in params else None
    losses, sums = token_losses(params["model"], prompts, batch, key, objective)
    return losses.sum(), {name: value.sum() for name, value in sums.items()}


def mixed_loss(
    trainable: list[Any],
    frozen: Any,
    batch: Batch,
    keys: Array,
    scales: Array,
    objective: Objective,
    members: tuple[tuple[int, ...], ...],
) -> tuple[Array, Metrics]:
    """As `population_loss`, of rows `[B, ...]` that hold examples of all runs (`runs_BU`) in any
    order. For prompt tuning without dropout; a row's ids name the prompt of its run.
    """
    prompts_RPD = trees.assemble(trainable, members)["prompt"]["table"]
    losses_BU, sums = token_losses(frozen["model"], prompts_RPD, batch, None, objective)
    runs, count = batch.runs_BU.reshape(-1), len(prompts_RPD)
    sums_R = {name: jax.ops.segment_sum(x.reshape(-1), runs, count) for name, x in sums.items()}
    return (losses_BU * scales[batch.runs_BU]).sum(), sums_R


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


def gradient(
    trainable: list[Any],
    frozen: Any,
    batch: Batch,
    keys: Array,
    scales: Array,
    *,
    objective: Objective,
    members: tuple[tuple[int, ...], ...],
) -> tuple[list[Any], Metrics]:
    """Gradients of every run's scaled loss, and the sums behind its metrics, `[R]`."""

    def one(part: Batch, keys: Array) -> tuple[list[Any], Metrics]:
        loss = population_loss if part.runs_BU is None else mixed_loss
        args = (trainable, frozen, part, keys, scales, objective, members)
        (_, sums), grads = jax.value_and_grad(loss, has_aux=True)(*args)
        return grads, sums

    if objective.micro_batches == 1:
        return one(batch, keys)
    n = objective.micro_batches
    parts = jax.tree.map(lambda x: _cut(x, n), batch)
    part_keys = jax.vmap(lambda key: jax.random.split(key, n), out_axes=1)(keys)
    first = jax.tree.map(lambda x: x[0], (parts, part_keys))
    zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, *first))

    def accumulate(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, one(*part)), None

    return jax.lax.scan(accumulate, zeros, (parts, part_keys))[0]


def update(
    state: State,
    grads: list[Any],
    sums: Metrics,
    rates: list[tuple[Array, Array]],
    *,
    groups: tuple[Group, ...],
    labels: Any,
) -> tuple[State, Metrics]:
    """Every run's own update from its gradient. Metrics `[R]` are of the parameters before it."""
    trainable, optimizer, update_rms = [], [], []
    for g, group in enumerate(groups):

        def one(grad: Any, opt: Any, params: Any, rate: Array, decay: Array, config: Any):
            tx = make_optimizer(config, labels, rate, decay)
            updates, opt = tx.update(grad, opt, params)
            return optax.apply_updates(params, updates), opt, _rms(updates)

        own = functools.partial(one, config=group.optimizer)
        result = jax.vmap(own)(grads[g], state.optimizer[g], state.trainable[g], *rates[g])
        for out, value in zip((trainable, optimizer, update_rms), result, strict=True):
            out.append(value)
    order = jnp.argsort(jnp.asarray([run for group in groups for run in group.members]))
    norms = jnp.concatenate([jax.vmap(_row_norm)(tree) for tree in state.trainable])
    metrics = {
        "loss": sums["nll"] / jnp.maximum(sums["tokens"], 1.0),
        "accuracy": sums["correct"] / jnp.maximum(sums["tokens"], 1.0),
        "norm": norms[order],
        "update_rms": jnp.concatenate(update_rms)[order],
    }
    return State(state.step + 1, trainable, optimizer), metrics


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
    """One update of every run.

    batch: leaves `[R, B, ...]`; keys: one for each run; rates: learning rates and weight decays of
    each group. Jit with `state` donated; `frozen` is never donated and never in the state.
    """
    members, scales_R = _members(groups), _scales((batch,), len(keys), objective)
    args = (state.trainable, frozen, batch, keys, scales_R)
    grads, sums = gradient(*args, objective=objective, members=members)
    return update(state, grads, sums, rates, groups=groups, labels=labels)


class Step:
    """`train_step` compiled, for batches in any number of parts: their gradients are summed.

    One program a shape of parts, and one for the update. The state given is donated.
    """

    def __init__(self, objective: Objective, groups: tuple[Group, ...], labels: Any):
        members = _members(groups)

        def add(total: Any, *args: Any) -> Any:
            found = gradient(*args, objective=objective, members=members)
            return jax.tree.map(jnp.add, total, found)

        runs = sum(map(len, members))
        zeros = {name: np.zeros(runs, np.float32) for name in ("nll", "correct", "tokens")}
        self._zeros = jax.jit(lambda tree: (jax.tree.map(jnp.zeros_like, tree), zeros))
        self._scales = functools.partial(_scales, runs=runs, objective=objective)
        self._add = jax.jit(add, donate_argnums=0)
        settings: dict[str, Any] = {"groups": groups, "labels": labels}
        self._update = jax.jit(functools.partial(update, **settings), donate_argnums=0)
        whole = functools.partial(train_step, objective=objective, **settings)
        self._whole = jax.jit(whole, donate_argnums=0)

    def __call__(
        self, state: State, frozen: Any, parts: Parts, keys: Array, rates: list[Any]
    ) -> tuple[State, Metrics]:
        if len(parts) == 1:
            return self._whole(state, frozen, parts[0], keys, rates)
        scales_R, total = self._scales(parts), self._zeros(state.trainable)
        for n, part in enumerate(parts):
            own = _fold_in(keys, n)
            total = self._add(total, state.trainable, frozen, part, own, scales_R)
        return self._update(state, *total, rates)


@jax.jit
def _fold_in(keys: Array, number: Any) -> Array:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)


def _members(groups: tuple[Group, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(group.members for group in groups)


def _scales(batch: Parts, runs: int, objective: Objective) -> Array:
    """What each run's summed loss is multiplied with: 1 over its target tokens, for the mean."""
    if objective.loss == "sum":
        return jnp.ones(runs, jnp.float32)
    tokens_R = jnp.zeros(runs, jnp.int32)
    for part in batch:
        real = (part.target_segments_BU > 0).astype(jnp.int32)
        if part.runs_BU is None:
            tokens_R += real.sum((1, 2))
        else:
            tokens_R += jax.ops.segment_sum(real.reshape(-1), part.runs_BU.reshape(-1), runs)
    return 1.0 / jnp.maximum(tokens_R.astype(jnp.float32), 1.0)


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
