"""What is trained: one label tree over `params`, from which the split and the optimiser follow.

`params` is {"model": T5 tree, "prompt": {"table": [P, D]}} for prompt tuning and {"model": T5 tree}
for model tuning. Leaves of the other side of a split are `optax.MaskedNode()`, which has no leaves:
gradients, optimiser state and checkpoints of frozen weights cannot exist.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

Method = Literal["prompt", "model"]


def label_tree(params: Any, method: Method) -> Any:
    """The kind of every leaf: "whole", "encoder_layers", "decoder_layers" or "frozen"."""

    def label(path: tuple[Any, ...], _: Any) -> str:
        keys = [key.key for key in path]
        if keys[0] != method:
            return "frozen"
        return f"{keys[1]}_layers" if "layers" in keys else "whole"

    return jax.tree_util.tree_map_with_path(label, params)


def split(params: Any, labels: Any) -> tuple[Any, Any]:
    """The trainable and the frozen tree, each with a `MaskedNode` at the other's leaves."""
    gap = optax.MaskedNode()
    trainable = jax.tree.map(lambda x, label: gap if label == "frozen" else x, params, labels)
    frozen = jax.tree.map(lambda x, label: x if label == "frozen" else gap, params, labels)
    return trainable, frozen


def merge(trainable: Any, frozen: Any) -> Any:
    """The inverse of `split`."""
    return jax.tree.map(
        lambda a, b: b if isinstance(a, optax.MaskedNode) else a,
        trainable,
        frozen,
        is_leaf=lambda x: isinstance(x, optax.MaskedNode),
    )


def stack(trees: list[Any]) -> Any:
    """Trees of equal shapes as one tree with a leading axis over them."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *trees)


def take(tree: Any, index: int) -> Any:
    """One tree of a stack."""
    return jax.tree.map(lambda x: x[index], tree)


def assemble(groups: list[Any], members: tuple[tuple[int, ...], ...]) -> Any:
    """Stacked groups of runs as one stack in run order; prompt tables are padded to the longest.

    groups: trees whose leaves lead with the runs of that group; members: their run numbers.
    """
    order = np.argsort([run for group in members for run in group])

    def join(*leaves: jax.Array) -> jax.Array:
        if len(leaves) == 1:
            return leaves[0]
        rows = max(leaf.shape[1] for leaf in leaves)
        padded = []
        for leaf in leaves:
            beyond = [(0, 0)] * leaf.ndim
            beyond[1] = (0, rows - leaf.shape[1])
            padded.append(jnp.pad(leaf, beyond))
        return jnp.concatenate(padded)[order]

    return jax.tree.map(join, *groups)
