"""Reads the T5X checkpoints of the authors, without T5X.

A checkpoint is a folder `checkpoint_STEP` with a msgpack file `checkpoint`, in which small arrays
are inline and each large one is a TensorStore description of a zarr folder beside it; or it is one
msgpack file with every array inline (t5x/checkpoints.py, flax/serialization.py). Optimiser state
is skipped. T5X stores no architecture: it comes from a `config.json` beside the checkpoint (with
the keys of Hugging Face) or else from the shapes.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorstore
from flax import serialization, traverse_util

from prompt_tuning.errors import UserError
from prompt_tuning.t5 import names
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.hf_config import config_from_hf
from prompt_tuning.t5.hf_weights import read_json
from prompt_tuning.t5.layers import Params

Target = dict[str, Any]  # T5X name -> array, or the description of a zarr folder


def find_t5x(path: pathlib.Path) -> pathlib.Path | None:
    """The msgpack file of the checkpoint at `path` (the file, its folder, or the folder above).

    None where there is none. Raises UserError where a folder holds several checkpoints.
    """
    if path.is_file():
        return path
    if (path / "checkpoint").is_file():
        return path / "checkpoint"
    found = sorted(path.glob("checkpoint_*/checkpoint"))
    if len(found) > 1:
        steps = ", ".join(file.parent.name for file in found)
        raise UserError(f"{path}: several checkpoints ({steps}); name one of them")
    return found[0] if found else None


def _read_target(file: pathlib.Path) -> Target:
    try:
        state = serialization.msgpack_restore(file.read_bytes())
    except Exception as error:  # msgpack and flax raise many kinds for damaged bytes
        raise UserError(f"{file}: not a whole T5X checkpoint ({error})") from error
    for key in ("optimizer", "target"):
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or "token_embedder" not in state:
        raise UserError(f"{file}: no token_embedder inside; not a T5X checkpoint of a T5")
    flat = traverse_util.flatten_dict(state, sep="/", is_leaf=lambda _, node: "driver" in node)
    return dict(flat)


def _shape(file: pathlib.Path, name: str, entry: Any) -> tuple[int, ...]:
    try:
        return tuple(entry["metadata"]["shape"] if isinstance(entry, dict) else entry.shape)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{file}: {name} is not an array") from error


def _read_array(file: pathlib.Path, name: str, entry: Any) -> np.ndarray:
    """An inline array, or the zarr folder that `entry` names, which lies beside the file."""
    if not isinstance(entry, dict):
        return entry
    store = entry.get("kvstore", {})
    # The path is relative to the checkpoint; TensorStore before 0.1.14 had it one level higher.
    recorded = str(store.get("path") or entry.get("path") or name)
    folder = file.parent / pathlib.PurePosixPath(recorded).name
    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": str(folder)},
        "fill_missing_data_reads": False,  # a chunk that is gone would otherwise read as zeros
    }
    try:
        return tensorstore.open(spec, read=True).result().read().result()
    except ValueError as error:
        reason = str(error).split(" [")[0]  # without the specification that follows
        raise UserError(f"{folder}: cannot be read as zarr ({reason})") from error


def infer_config(shapes: dict[str, tuple[int, ...]], where: str) -> T5Config:
    """The architecture that has these shapes, by T5X name; `max_distance` and the rest by default.

    A gated MLP is taken to be T5 1.1's (tanh gelu), a plain one T5 1.0's (relu); a model without
    `logits_dense` has T5 1.0's tied and scaled head (t5x/examples/t5/network.py).
    """
    gated = "encoder/layers_0/mlp/wi_0/kernel" in shapes
    tied = "decoder/logits_dense/kernel" not in shapes
    try:
        heads, buckets = shapes["encoder/relpos_bias/rel_embedding"]
        vocab_size, d_model = shapes["token_embedder/embedding"]
        d_attention = shapes["encoder/layers_0/attention/query/kernel"][1]
        d_ff = shapes[f"encoder/layers_0/mlp/{'wi_0' if gated else 'wi'}/kernel"][1]
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{where}: cannot tell the architecture, {error} is not there") from error

    def depth(stack: str) -> int:
        return len({name.split("/")[1] for name in shapes if name.startswith(f"{stack}/layers_")})

    return T5Config(
        vocab_size=vocab_size,
        d_model=d_model,
        d_kv=d_attention // heads,
        d_ff=d_ff,
        num_layers=depth("encoder"),
        num_decoder_layers=depth("decoder"),
        num_heads=heads,
        num_buckets=buckets,
        gated=gated,
        activation="gelu_tanh" if gated else "relu",
        tied_head=tied,
        scale_logits=tied,
    )


def read_t5x(
    file: pathlib.Path, dtype: np.dtype | None = None, max_distance: int | None = None
) -> tuple[T5Config, Params]:
    """Configuration and parameters of the checkpoint whose msgpack file is `file`.

    `max_distance` of the relative positions overrides config.json and the default of 128; it must
    be given for another number of buckets than 32, because nothing in the checkpoint tells it.
    Strict both ways, as for Hugging Face folders; `dtype` None keeps the stored type.
    """
    target = _read_target(file)
    shapes = {name: _shape(file, name, entry) for name, entry in target.items()}
    described = file.parent / "config.json"
    if described.is_file():
        config = config_from_hf(read_json(described), str(described))
        config = dataclasses.replace(config, tied_head="decoder/logits_dense/kernel" not in shapes)
    else:
        config = infer_config(shapes, str(file))
        if max_distance is None and config.num_buckets != 32:
            raise UserError(
                f"{file}: {config.num_buckets} relative position buckets, not the usual 32: give "
                "max_distance, which a T5X checkpoint does not record"
            )
    if max_distance is not None:
        config = dataclasses.replace(config, max_distance=max_distance)
    expected = {tensor.t5x for tensor in names.tensors(config)}
    names.check_names(set(target) - set(names.T5X_UNUSED), expected, str(file))

    def read(tensor: names.Tensor) -> np.ndarray:
        return _read_array(file, tensor.t5x, target[tensor.t5x])

    return config, names.build_tree(config, read, dtype, str(file))
