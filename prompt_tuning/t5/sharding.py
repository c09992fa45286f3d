"""A frozen T5 over several devices: one mesh, one spec for each kind of weight.

The mesh has the axes "data" (rows of a batch) and "model" (heads, hidden units, vocabulary).
Weights that write into heads or hidden units are split along their last axis, those that read from
them along the one before: each pair needs one sum over devices. Prompts and norms are everywhere.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from prompt_tuning.errors import UserError
from prompt_tuning.t5.layers import Params

# Leaf name, or name of the module around a "kernel" -> the axis, from the end, that is split.
SPLIT = {
    "query": -1,
    "key": -1,
    "value": -1,
    "wi": -1,
    "wi_0": -1,
    "wi_1": -1,
    "out": -2,
    "wo": -2,
    "embedding": -2,
    "logits_dense": -1,
    "rel_embedding": -2,
}


def make_mesh(model_parallel: int = 1) -> Mesh:
    """All devices as [data, model]. Raises UserError if they do not divide."""
    count = jax.device_count()
    if model_parallel < 1 or count % model_parallel:
        raise UserError(f"model_parallel {model_parallel} does not divide the {count} devices")
    shape = (count // model_parallel, model_parallel)
    return jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def param_specs(params: Params, model_parallel: int, leading: int = 0) -> Any:
    """The tree of PartitionSpecs; an axis that does not divide stays whole.

    leading: axes in front of each leaf's own, such as the runs of a population.
    """

    def spec(path: tuple[Any, ...], leaf: Any) -> PartitionSpec:
        names = [key.key for key in path]
        name = names[-2] if names[-1] == "kernel" else names[-1]
        axes: list[str | None] = [None] * leaf.ndim
        if name in SPLIT and leaf.ndim - leading >= 2:
            axis = leaf.ndim + SPLIT[name]
            if leaf.shape[axis] % model_parallel == 0:
                axes[axis] = "model"
        return PartitionSpec(*axes)

    return jax.tree_util.tree_map_with_path(spec, params)


def shard_params(params: Params, mesh: Mesh, leading: int = 0) -> Params:
    """The weights on the mesh's devices, each split by its spec."""
    specs = param_specs(params, mesh.shape["model"], leading)
    return jax.tree.map(lambda x, s: jax.device_put(x, NamedSharding(mesh, s)), params, specs)


def shard_rows(batch: Any, mesh: Mesh, axis: int) -> Any:
    """Arrays split along `axis` over the data axis; whole where it does not divide."""

    def put(x: np.ndarray) -> jax.Array:
        divides = x.shape[axis] % mesh.shape["data"] == 0
        spec = PartitionSpec(*[None] * axis, "data") if divides else PartitionSpec()
        return jax.device_put(x, NamedSharding(mesh, spec))

    return jax.tree.map(put, batch)
