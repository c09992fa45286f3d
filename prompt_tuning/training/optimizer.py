"""The paper's optimiser on optax, every trap of the released one a field.

Adafactor as coded in T5X: v = b2 v + (1 - b2) g^2 with b2 = 1 - (t + 1) ** -0.8 and no bias
correction; the update g / sqrt(v) is clipped to RMS 1 per array, then multiplied by the learning
rate; weight decay is subtracted outside the learning rate. AdamW and Muon are for training models
from scratch; their weight decay too is outside the rate.
"""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array
from jax.typing import ArrayLike

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import check_choices


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The defaults are the paper's for prompt tuning (section 3 and appendix A)."""

    name: Literal["adafactor", "adamw", "muon"] = "adafactor"  # the paper's is Adafactor
    learning_rate: float = 0.3  # constant
    weight_decay: float = 1e-5  # each step takes this share of the parameter, whatever the rate
    warmup_steps: int = 0  # linear, the full rate at this step
    decay_factor: float = 1.0  # the rate is multiplied by this ...
    decay_every: int = 0  # ... every so many steps; 0 is never (Table 6)
    decay: Literal["none", "inverse_sqrt", "linear", "cosine"] = "none"  # after the warm-up
    total_steps: int = 0  # where linear and cosine decay reach 0
    beta2_decay: float = 0.8  # Adafactor: the exponent above
    start_step: int = 0  # Adafactor: t of the first step; the released code's is the checkpoint's
    factored: bool = True  # Adafactor: row and column means where both sides reach the next field
    factor_from: int = 128  # ... so a prompt of 128 rows or more is factored, a shorter one is not
    clip_update_rms: float | None = 1.0  # Adafactor
    scale_by_parameter: bool = False  # Adafactor: the rate times the RMS of the parameter
    momentum: float | None = None  # Adafactor's; adamw's b1, default 0.9; muon's, default 0.95
    beta2: float = 0.999  # adamw, and muon where it is AdamW: of the second moments
    clip_global_norm: float | None = None  # of the gradient, before anything else

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"{name} must be 0 or more and finite, not {value}")
        for name in ("beta2", "momentum"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"{name} must be in [0, 1), not {value}")
        for name in ("clip_update_rms", "clip_global_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} must be above 0, or nothing, not {value}")
        for name in ("warmup_steps", "decay_every", "total_steps", "start_step"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be 0 or more, not {getattr(self, name)}")


# The released code resumes the optimiser's count from the LM-adapted checkpoint (1.1M steps) while
# its statistics start at zero (t5_1_1_*_prompt.gin; step_offset 0 in train/optim.py).
RELEASED_START_STEP = 1_100_000
PAPER = OptimizerConfig()
RELEASED = OptimizerConfig(start_step=RELEASED_START_STEP)
# Model tuning: T5's own fine-tuning settings (paper section 3: rate 0.001).
MODEL_TUNING = OptimizerConfig(learning_rate=1e-3, weight_decay=0.0, scale_by_parameter=True)


def make_optimizer(
    config: OptimizerConfig,
    labels: Any,
    learning_rate: Array | float | None = None,
    weight_decay: Array | float | None = None,
) -> optax.GradientTransformation:
    """The optimiser of one run over its label tree.

    labels: the tree of `trees.label_tree`. "whole" leaves are one array each; those of
        "encoder_layers" and "decoder_layers" are stacked over layers, and every layer has its own
        clipping, factoring and scale; "frozen" ones have neither update nor state.
    learning_rate, weight_decay: override the configuration's; they may be traced, so that a
        population can hold a rate for each run.
    """
    rate = config.learning_rate if learning_rate is None else learning_rate
    decay = config.weight_decay if weight_decay is None else weight_decay
    if config.decay in ("linear", "cosine") and config.total_steps <= config.warmup_steps:
        raise UserError(
            f"{config.decay} decay of the learning rate needs total_steps, more than the "
            f"{config.warmup_steps} of the warm-up"
        )

    def schedule(count: ArrayLike) -> ArrayLike:
        return jnp.asarray(rate, jnp.float32) * rate_factor(config, count)

    constant = not (config.warmup_steps or config.decay_every) and config.decay == "none"
    scheduled = rate if constant else schedule
    if config.name == "adafactor":
        tx = layer = optax.adafactor(
            scheduled,
            min_dim_size_to_factor=config.factor_from,
            decay_rate=config.beta2_decay,
            decay_offset=-config.start_step,
            multiply_by_parameter_scale=config.scale_by_parameter,
            clipping_threshold=config.clip_update_rms,
            momentum=config.momentum,
            weight_decay_rate=decay,
            eps=1e-30,
            factored=config.factored,
        )
    else:

        def finish(direction: optax.GradientTransformation) -> optax.GradientTransformation:
            return optax.chain(
                _promoting(direction),
                optax.scale_by_learning_rate(scheduled, flip_sign=False),
                optax.add_decayed_weights(decay),
                optax.scale(-1.0),
            )

        momentum = config.momentum
        if config.name == "adamw":
            adam = optax.scale_by_adam(0.9 if momentum is None else momentum, config.beta2)
            tx = layer = finish(adam)
        else:
            adam = optax.scale_by_adam(b2=config.beta2)
            tx = finish(adam)
            layer = finish(_muon(0.95 if momentum is None else momentum, adam))
    kinds = {"whole": tx, "encoder_layers": per_layer(layer), "decoder_layers": per_layer(layer)}
    kinds["frozen"] = optax.set_to_zero()
    present = set(jax.tree.leaves(labels))
    tx = optax.partition({kind: kinds[kind] for kind in present}, labels)
    if config.clip_global_norm is None:
        return tx
    return optax.chain(optax.clip_by_global_norm(config.clip_global_norm), tx)


def rate_factor(config: OptimizerConfig, count: ArrayLike) -> Array:
    """What the learning rate is multiplied by in the update after `count` others."""
    step, warmup = jnp.asarray(count, jnp.float32), float(config.warmup_steps)
    factor = jnp.minimum(1.0, (step + 1.0) / warmup) if warmup else jnp.float32(1.0)
    if config.decay_every:
        factor = factor * config.decay_factor ** jnp.floor(step / config.decay_every)
    if config.decay == "inverse_sqrt":  # from 1 at the end of the warm-up
        return factor * jnp.sqrt(jnp.maximum(warmup, 1.0) / jnp.maximum(step + 1.0, warmup))
    if config.decay in ("linear", "cosine"):
        done = jnp.clip((step - warmup) / (config.total_steps - warmup), 0.0, 1.0)
        left = 1.0 - done if config.decay == "linear" else 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        return factor * left
    return factor


def per_layer(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` on every slice along axis 0, as if the layers were arrays of their own."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.vmap(tx.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(tx.init), update)


def _muon(beta: float, adam: optax.GradientTransformation) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) for the matrices of one layer, `adam` for its other arrays.

    The momentum of a matrix is made nearly orthogonal, then scaled by 0.2 * sqrt(its longer side):
    the usual RMS of Adam's updates, so that Adam's rates carry over (Liu et al. 2025, section 2.2).
    """

    def matrices(tree: Any) -> Any:
        return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(), tree)

    def rescale(updates: Any, _: Any) -> Any:
        return jax.tree.map(lambda x: 0.2 * math.sqrt(max(x.shape)) * x, updates)

    muon = optax.chain(
        optax.contrib.scale_by_muon(beta=beta, weight_dimension_numbers=matrices),
        optax.stateless(rescale),
    )

    def kinds(tree: Any) -> Any:
        return jax.tree.map(lambda x: "matrix" if x.ndim == 2 else "other", tree)

    return optax.partition({"matrix": muon, "other": adam}, kinds)


def _promoting(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` under standard type promotion: optax raises a float to an int32 power."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):
            return tx.update(updates, state, params)

    return optax.GradientTransformation(tx.init, update)
