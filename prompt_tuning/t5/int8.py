"""Frozen weights in int8: one byte a weight, one scale for each output channel.

Only the matrices inside the layers are quantised: nearly all of a large model's weights. The rest
stays as it is: norms and relative positions are small; the embedding table makes the prompt's first
rows and its neighbours, identifies the base, and is read a few rows at a time; the head is its
equal in size (1 % of XXL) and decides between labels by small differences of logits.
Shape letters: L layers, D inputs of a matrix, E its outputs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.ad_checkpoint import checkpoint_name

Params = dict[str, Any]

PRODUCT = "int8_product"  # the name by which a policy can keep what `product` returns
LEVELS = 127  # symmetric: -127 ... 127, so that 0 stays 0


@jax.jit
def quantize(kernel_LDE: Array) -> Params:
    """`{"kernel": int8 [L, D, E], "scale": float32 [L, E]}`; kernel * scale is off by scale / 2."""
    kernel_LDE = kernel_LDE.astype(jnp.float32)
    scale_LE = jnp.abs(kernel_LDE).max(axis=-2) / LEVELS
    steps = kernel_LDE / jnp.where(scale_LE > 0, scale_LE, 1.0)[..., None, :]
    return {"kernel": jnp.round(steps).astype(jnp.int8), "scale": scale_LE}


def quantizable(path: tuple[str, ...]) -> bool:
    """Whether the leaf at `path` is a matrix inside the layers."""
    return "layers" in path and path[-1] == "kernel"


def rest_dtype() -> np.dtype:
    """The type of what is not quantised, and of activations, on this machine's device."""
    return np.dtype(np.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)


def quantize_params(params: Params, dtype: Any, path: tuple[str, ...] = ()) -> Params:
    """The parameter tree with scales beside its int8 kernels, the rest as `dtype`; traceable."""
    found: Params = {}
    for name, value in params.items():
        if isinstance(value, dict):
            found[name] = quantize_params(value, dtype, (*path, name))
        elif quantizable((*path, name)):
            found |= quantize(value)
        else:
            found[name] = value.astype(dtype)
    return found


def dequantize_params(params: Params, dtype: Any = jnp.float32) -> Params:
    """The plain tree that a quantised one stands for."""
    if "kernel" in params and "scale" in params:
        kernel = params["kernel"].astype(jnp.float32) * params["scale"][..., None, :]
        return {"kernel": kernel.astype(dtype)}
    return {
        name: dequantize_params(value, dtype) if isinstance(value, dict) else value.astype(dtype)
        for name, value in params.items()
    }


def is_quantized(params: Params) -> bool:
    """Whether any leaf is int8."""
    return any(leaf.dtype == jnp.int8 for leaf in jax.tree.leaves(params))


def product(x: Array, kernel_DE: Array, scale_E: Array) -> Array:
    """`x @ (kernel * scale)` of x `[..., D]`, in the type of x; only x has a gradient.

    Whole numbers up to 127 are exact in bfloat16 and the scale is applied to the float32 sums, so
    nothing is rounded but inputs and outputs.
    """
    # Its gradient is a rule of its own, inside which a policy of what to keep sees no product.
    return checkpoint_name(_product(x, kernel_DE, scale_E), PRODUCT)


@jax.custom_vjp
def _product(x: Array, kernel_DE: Array, scale_E: Array) -> Array:
    """The rule keeps int8 weights for the backward pass; JAX would keep a float copy of them."""
    y = _dot(x, kernel_DE.astype(x.dtype), 0)
    return (y * jnp.expand_dims(scale_E, range(x.ndim - 1))).astype(x.dtype)


def _forward(x: Array, kernel_DE: Array, scale_E: Array) -> tuple[Array, tuple[Array, Array]]:
    return _product(x, kernel_DE, scale_E), (kernel_DE, scale_E)


def _backward(kept: tuple[Array, Array], dy: Array) -> tuple[Array, None, None]:
    kernel_DE, scale_E = kept
    scaled = dy.astype(jnp.float32) * jnp.expand_dims(scale_E, range(dy.ndim - 1))
    dx = _dot(scaled.astype(dy.dtype), kernel_DE.astype(dy.dtype), 1)
    return dx.astype(dy.dtype), None, None


_product.defvjp(_forward, _backward)


def _dot(x: Array, matrix: Array, axis: int) -> Array:
    """The last axis of x against `axis` of a matrix; float32 sums."""
    dimensions = (((x.ndim - 1,), (axis,)), ((), ()))
    return jax.lax.dot_general(x, matrix, dimensions, preferred_element_type=jnp.float32)
