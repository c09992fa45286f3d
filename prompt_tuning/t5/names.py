"""The one declaration of where each tensor of a checkpoint goes in our parameter tree.

Our leaves are the T5X names with `layers_i` stacked into `layers`; the Hugging Face names are
declared below. Loaders and savers map over `tensors(config)`, so nothing is listed twice.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.t5 import int8
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.layers import Params
from prompt_tuning.t5.model import param_shapes

Path = tuple[str, ...]

EMBEDDING: Path = ("token_embedder", "embedding")
HEAD: Path = ("decoder", "logits_dense", "kernel")
_RELATIVE = "block.0.layer.0.SelfAttention.relative_attention_bias"
# Hugging Face names of the leaves outside the layers, without ".weight".
_HF_OUTSIDE: dict[Path, str] = {
    EMBEDDING: "shared",
    HEAD: "lm_head",
    ("encoder", "relpos_bias", "rel_embedding"): f"encoder.{_RELATIVE}",
    ("decoder", "relpos_bias", "rel_embedding"): f"decoder.{_RELATIVE}",
    ("encoder", "encoder_norm", "scale"): "encoder.final_layer_norm",
    ("decoder", "decoder_norm", "scale"): "decoder.final_layer_norm",
}
# Of the parts of layer i, below "encoder.block.i." and "decoder.block.i.".
_HF_PARTS: dict[str, dict[str, str]] = {
    "encoder": {
        "attention": "layer.0.SelfAttention",
        "pre_attention_layer_norm": "layer.0.layer_norm",
        "mlp": "layer.1.DenseReluDense",
        "pre_mlp_layer_norm": "layer.1.layer_norm",
    },
    "decoder": {
        "self_attention": "layer.0.SelfAttention",
        "pre_self_attention_layer_norm": "layer.0.layer_norm",
        "encoder_decoder_attention": "layer.1.EncDecAttention",
        "pre_cross_attention_layer_norm": "layer.1.layer_norm",
        "mlp": "layer.2.DenseReluDense",
        "pre_mlp_layer_norm": "layer.2.layer_norm",
    },
}
_HF_KERNELS = {"query": "q", "key": "k", "value": "v", "out": "o"}  # those of the MLP are alike

# Names a complete checkpoint may hold besides: copies of the embedding table, and a table that old
# files have and no version of transformers uses (its `_keys_to_ignore_on_load_unexpected`).
HF_EMBEDDING_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
HF_UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
# The prompt that the released prompt-tuning code saves with the whole frozen model.
T5X_UNUSED = ("encoder/prompt/prompt/prompt",)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint and its place in our tree."""

    path: Path  # the leaf
    layer: int | None  # its row in the leaf, for a leaf that stacks the layers
    shape: tuple[int, ...]  # in our orientation, of this layer alone

    @property
    def transposed(self) -> bool:
        """Whether Hugging Face stores it transposed: `[out, in]`, and `[buckets, heads]`."""
        return self.path[-1] in ("kernel", "rel_embedding")

    @property
    def hf(self) -> str:
        """The name in a Hugging Face checkpoint."""
        if self.layer is None:
            return _HF_OUTSIDE[self.path] + ".weight"
        stack, _, part, *rest = self.path
        names = [stack, "block", str(self.layer), _HF_PARTS[stack][part]]
        names += [_HF_KERNELS.get(name, name) for name in rest if name not in ("kernel", "scale")]
        return ".".join([*names, "weight"])

    @property
    def t5x(self) -> str:
        """The name below `target` in a T5X checkpoint."""
        layer = f"layers_{self.layer}"
        return "/".join(layer if name == "layers" else name for name in self.path)


def tensors(config: T5Config) -> list[Tensor]:
    """Every tensor of a complete checkpoint; those of one leaf are neighbours, in layer order."""
    found = []
    for keys, leaf in jax.tree_util.tree_leaves_with_path(param_shapes(config)):
        path = tuple(key.key for key in keys)
        if "layers" in path:
            found += [Tensor(path, i, leaf.shape[1:]) for i in range(leaf.shape[0])]
        else:
            found.append(Tensor(path, None, leaf.shape))
    return found


def _listed(kind: str, names: Collection[str]) -> str:
    shown = sorted(names)[:5]
    more = ", ..." if len(names) > len(shown) else ""
    return f"{len(names)} {kind} ({', '.join(shown)}{more})"


def check_names(found: Collection[str], expected: Collection[str], where: str) -> None:
    """Raises UserError with every missing and unexpected name counted, the first five listed."""
    missing, unexpected = set(expected) - set(found), set(found) - set(expected)
    faults = [
        _listed(kind, names)
        for kind, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    if faults:
        raise UserError(f"{where}: the weights do not fit the configuration: {'; '.join(faults)}")


def _stored_dtype(dtype: np.dtype, where: str) -> np.dtype:
    if dtype == np.float16:
        raise UserError(
            f"{where}: the weights are stored as float16, in which T5's activations overflow; "
            "load them with dtype='float32' or 'bfloat16'"
        )
    if dtype not in (np.dtype(np.float32), np.dtype(jnp.bfloat16)):
        raise UserError(
            f"{where}: the weights are stored as {dtype}; load them with dtype='float32'"
        )
    return dtype


def build_tree(
    config: T5Config, read: Callable[[Tensor], np.ndarray], dtype: np.dtype | None, where: str
) -> Params:
    """The parameter tree, one tensor in memory besides the leaf being stacked.

    `read` gives a tensor in our orientation. Leaves are jax arrays on the default device, all of
    `dtype`, or of the type in which the embedding table is stored where `dtype` is None. With int8
    the matrices of the layers are quantised, one leaf at a time, and the rest is float32 on a CPU
    and bfloat16 elsewhere.
    Raises UserError for a tensor of another shape or of no floating type.
    """
    if dtype is None:
        embedding = Tensor(EMBEDDING, None, (config.vocab_size, config.d_model))
        dtype = _stored_dtype(read(embedding).dtype, where)
    quantized = dtype == np.int8
    if quantized:
        dtype = int8.rest_dtype()
    params: Params = {}
    for path, group in itertools.groupby(tensors(config), key=lambda tensor: tensor.path):
        members = list(group)
        layers = () if members[0].layer is None else (len(members),)
        small = quantized and int8.quantizable(path)
        leaf = np.empty(layers + members[0].shape, np.float32 if small else dtype)
        for tensor in members:
            array = read(tensor)
            if array.shape != tensor.shape:
                raise UserError(
                    f"{where}: {tensor.t5x} (Hugging Face: {tensor.hf}) has shape {array.shape}, "
                    f"the configuration says {tensor.shape}"
                )
            if not jnp.issubdtype(array.dtype, jnp.floating):
                raise UserError(f"{where}: {tensor.t5x} is {array.dtype}, not a floating type")
            leaf[... if tensor.layer is None else tensor.layer] = array
        branch = params
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        if small:
            branch |= int8.quantize(leaf)
        else:
            branch[path[-1]] = jnp.asarray(leaf)
    return params


def leaf(params: Params, path: Path) -> Any:
    """The leaf of a nested dict at `path`."""
    for key in path:
        params = params[key]
    return params
