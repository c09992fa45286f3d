"""The paper's optimiser on optax, every trap of the released one a field.

Adafactor as coded in T5X: v = b2 v + (1 - b2) g^2 with b2 = 1 - (t + 1) ** -0.8 and no bias
correction; the update g / sqrt(v) is clipped to RMS 1 per array, then multiplied by the learning
rate; weight decay is subtracted outside the learning rate.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The defaults are the paper's for prompt tuning (section 3 and appendix A)."""

    name: Literal["adafactor", "adamw"] = "adafactor"  # the paper's is Adafactor
    learning_rate: float = 0.3  # constant
    weight_decay: float = 1e-5  # each step takes this share of the parameter, whatever the rate
    warmup_steps: int = 0  # linear, from 0
    decay_factor: float = 1.0  # the rate is multiplied by this ...
    decay_every: int = 0  # ... every so many steps; 0 is never (Table 6)
    beta2_decay: float = 0.8  # Adafactor: the exponent above
    start_step: int = 0  # Adafactor: t of the first step; the released code's is the checkpoint's
    factored: bool = True  # Adafactor: row and column means where both sides reach the next field
    factor_from: int = 128  # ... so a prompt of 128 rows or more is factored, a shorter one is not
    clip_update_rms: float | None = 1.0  # Adafactor
    scale_by_parameter: bool = False  # Adafactor: the rate times the RMS of the parameter
    momentum: float | None = None  # Adafactor's; for adamw b1, default 0.9
    clip_global_norm: float | None = None  # of the gradient, before anything else


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

    def schedule(count: ArrayLike) -> ArrayLike:
        step = jnp.asarray(count, jnp.float32)
        value = jnp.asarray(rate, jnp.float32)
        if config.warmup_steps:
            value = value * jnp.minimum(1.0, (step + 1.0) / config.warmup_steps)
        if config.decay_every:
            value = value * config.decay_factor ** jnp.floor(step / config.decay_every)
        return value

    constant = not (config.warmup_steps or config.decay_every)
    scheduled = rate if constant else schedule
    if config.name == "adafactor":
        tx = optax.adafactor(
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
        b1 = 0.9 if config.momentum is None else config.momentum
        tx = optax.chain(
            _promoting(optax.scale_by_adam(b1=b1)),
            optax.scale_by_learning_rate(scheduled, flip_sign=False),
            optax.add_decayed_weights(decay),
            optax.scale(-1.0),
        )
    kinds = {"whole": tx, "encoder_layers": per_layer(tx), "decoder_layers": per_layer(tx)}
    kinds["frozen"] = optax.set_to_zero()
    present = set(jax.tree.leaves(labels))
    tx = optax.partition({kind: kinds[kind] for kind in present}, labels)
    if config.clip_global_norm is None:
        return tx
    return optax.chain(optax.clip_by_global_norm(config.clip_global_norm), tx)


def per_layer(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` on every slice along axis 0, as if the layers were arrays of their own."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.vmap(tx.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(tx.init), update)


def _promoting(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` under standard type promotion: optax's Adam raises a float to an int32 power."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):
            return tx.update(updates, state, params)

    return optax.GradientTransformation(tx.init, update)
