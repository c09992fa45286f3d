"""T5X checkpoints: as the library wrote them (msgpack and zarr), as one file, and damaged."""

import dataclasses
import gzip
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore
from flax import serialization, traverse_util

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import SIZES
from prompt_tuning.t5.hf_config import config_to_hf
from prompt_tuning.t5.load import load_t5
from prompt_tuning.t5.model import param_shapes
from prompt_tuning.t5.t5x import infer_config

STANDARD = {"num_buckets": 32, "max_distance": 128}


def t5x_target(params):
    """The tree with `layers_i` in place of the stacked `layers`, by name."""
    target = {}
    for name, leaf in traverse_util.flatten_dict(params, sep="/").items():
        array = np.asarray(leaf)
        if "/layers/" not in name:
            target[name] = array
            continue
        for i, row in enumerate(array):
            target[name.replace("/layers/", f"/layers_{i}/")] = row
    return target


def state_of(target):
    tree = traverse_util.unflatten_dict(target, sep="/")
    state = {"step": np.int32(3), "param_states": {"x": {"v": np.zeros(1, np.float32)}}}
    return {"version": 3, "optimizer": {"target": tree, "state": state}}


def write_folder(folder, params, old_form=False):
    """As T5X does: arrays of two dimensions as zarr beside the msgpack file, the others in it."""
    folder.mkdir()
    target = t5x_target(params)
    for name, array in target.items():
        if array.ndim < 2 or name.endswith("rel_embedding"):
            continue
        path = "target." + name.replace("/", ".")
        dtype = "bfloat16" if array.dtype == jnp.bfloat16 else array.dtype.str
        metadata = {"shape": list(array.shape), "chunks": [max(1, n // 2) for n in array.shape]}
        metadata |= {"compressor": {"id": "gzip", "level": 1}}
        spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder / path)}}
        spec |= {"metadata": metadata | {"dtype": dtype}, "create": True}
        tensorstore.open(spec).result().write(array).result()
        where = {"driver": "gfile"} if old_form else {"driver": "gfile", "path": path}
        target[name] = {"driver": "zarr", "kvstore": where, "metadata": metadata}
        if old_form:
            target[name]["path"] = f"some/bucket/{path}/"
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(state_of(target)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("old_form", [False, True])
def test_folder_of_msgpack_and_zarr(tmp_path, make_t5, assert_same, dtype, old_form):
    t5 = make_t5(dtype, **STANDARD)
    write_folder(tmp_path / "checkpoint_3", t5.params, old_form)
    for path in (tmp_path / "checkpoint_3", tmp_path, tmp_path / "checkpoint_3" / "checkpoint"):
        assert_same(load_t5(path, dtype=dtype), t5)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("root", ["optimizer", "target", "tree"])
def test_one_file_with_every_array_inline(
    tmp_path, make_t5, assert_same, monkeypatch, chunked, root
):
    if chunked:  # flax splits arrays above a limit, 1 GiB
        monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 100)
    t5 = make_t5(**STANDARD)
    state = state_of(t5x_target(t5.params))
    state = {
        "optimizer": state,
        "target": state["optimizer"],
        "tree": state["optimizer"]["target"],
    }[root]
    content = serialization.msgpack_serialize(state)
    assert (b"__msgpack_chunked_array__" in content) == chunked
    (tmp_path / "model.msgpack").write_bytes(content)
    assert_same(load_t5(tmp_path / "model.msgpack"), t5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"gated": False, "activation": "relu", "tied_head": True, "scale_logits": True},
    ],
)
def test_the_architecture_follows_from_the_shapes(make_t5, fields):
    t5 = make_t5(**STANDARD, **fields)
    shapes = {name: array.shape for name, array in t5x_target(t5.params).items()}
    assert infer_config(shapes, "here") == t5.config


def test_the_named_sizes_follow_from_their_shapes():
    for config in SIZES.values():
        flat = traverse_util.flatten_dict(param_shapes(config), sep="/")
        shapes = {}
        for name, leaf in flat.items():
            for i in range(leaf.shape[0] if "/layers/" in name else 1):
                one = leaf.shape[1:] if "/layers/" in name else leaf.shape
                shapes[name.replace("/layers/", f"/layers_{i}/")] = one
        assert infer_config(shapes, "here") == config


def test_max_distance_is_asked_for_where_it_cannot_be_guessed(tmp_path, make_t5, assert_same):
    t5 = make_t5()  # 6 buckets, distance 9
    write_folder(tmp_path / "a", t5.params)
    with pytest.raises(UserError, match=r"6 relative position buckets, .* give max_distance"):
        load_t5(tmp_path / "a")
    assert_same(load_t5(tmp_path / "a", max_distance=9), t5)
    (tmp_path / "a" / "config.json").write_text(json.dumps(config_to_hf(t5.config)))
    assert_same(load_t5(tmp_path / "a"), t5)
    other = dataclasses.replace(t5.config, max_distance=12)
    assert load_t5(tmp_path / "a", max_distance=12).config == other


def test_strict_both_ways_but_for_a_saved_prompt(tmp_path, make_t5, assert_same):
    t5 = make_t5(**STANDARD)
    target = t5x_target(t5.params)
    prompt = {"encoder/prompt/prompt/prompt": np.zeros((5, 8), np.float32)}
    path = tmp_path / "checkpoint"

    def write(target):
        path.write_bytes(serialization.msgpack_serialize(state_of(target)))

    write(target | prompt)
    assert_same(load_t5(path), t5)
    write(target | {"encoder/extra/kernel": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"1 unexpected \(encoder/extra/kernel\)"):
        load_t5(path)
    gone = "decoder/layers_1/mlp/wo/kernel"
    write({name: array for name, array in target.items() if name != gone})
    with pytest.raises(UserError, match=rf"1 missing \({gone}\)"):
        load_t5(path)
    write(target | {gone: np.zeros((10, 9), np.float32)})
    with pytest.raises(UserError, match=rf"{gone} .*has shape \(10, 9\)"):
        load_t5(path)
    write({name: array for name, array in target.items() if "relpos" not in name})
    with pytest.raises(UserError, match="cannot tell the architecture"):
        load_t5(path)
    write(target | {gone: "text"})
    with pytest.raises(UserError, match=rf"{gone} is not an array"):
        load_t5(path)


def test_damaged_checkpoints(tmp_path, make_t5):
    write_folder(tmp_path / "a", make_t5(**STANDARD).params)
    chunk = tmp_path / "a" / "target.token_embedder.embedding" / "1.0"
    content = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(UserError, match=r"embedding: cannot be read as zarr .*missing") as caught:
        load_t5(tmp_path / "a")
    assert "\n" not in str(caught.value)
    chunk.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="embedding: cannot be read as zarr"):
        load_t5(tmp_path / "a")
    chunk.write_bytes(content)
    assert load_t5(tmp_path / "a").config.vocab_size == 40

    index = tmp_path / "a" / "checkpoint"
    whole = index.read_bytes()
    for bad in (b"", whole[:-1], whole[:50], b"\x00" + whole, b"text of a TensorFlow checkpoint"):
        index.write_bytes(bad)
        with pytest.raises(UserError, match=r"not a whole T5X checkpoint|no token_embedder"):
            load_t5(tmp_path / "a")


def test_a_path_in_the_checkpoint_cannot_lead_elsewhere(tmp_path, make_t5):
    """Only the last part of the recorded path counts, beside the msgpack file."""
    t5 = make_t5(**STANDARD)
    write_folder(tmp_path / "a", t5.params)
    index = tmp_path / "a" / "checkpoint"
    state = serialization.msgpack_restore(index.read_bytes())
    entry = state["optimizer"]["target"]["token_embedder"]["embedding"]
    (tmp_path / "a" / "target.token_embedder.embedding").rename(tmp_path / "elsewhere")
    entry["kvstore"]["path"] = "../elsewhere"
    index.write_bytes(serialization.msgpack_serialize(state))
    with pytest.raises(UserError, match="cannot be read as zarr"):
        load_t5(tmp_path / "a")


def test_several_checkpoints_need_a_choice(tmp_path, make_t5):
    for step in (1, 2):
        write_folder(tmp_path / f"checkpoint_{step}", make_t5(**STANDARD).params)
    with pytest.raises(UserError, match=r"several checkpoints \(checkpoint_1, checkpoint_2\)"):
        load_t5(tmp_path)


def test_the_real_checkpoint(shared_data):
    folder = shared_data / "t5" / "tiny_t5x_zarr" / "checkpoint_3"
    t5 = load_t5(folder, max_distance=8, tokenizer=shared_data / "t5" / "spiece.model")
    assert t5.config.num_buckets == 4
    assert (t5.config.num_heads, t5.config.d_kv, t5.config.d_ff) == (2, 2, 8)
    assert t5.tokenizer.size == 32100
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(t5.params))
    # One of its zarr arrays, read another way: a single gzip chunk of little-endian float32.
    raw = (folder / "target.encoder.layers_1.mlp.wi_0.kernel" / "0.0").read_bytes()
    want = np.frombuffer(gzip.decompress(raw), "<f4").reshape(4, 8)
    np.testing.assert_array_equal(t5.params["encoder"]["layers"]["mlp"]["wi_0"]["kernel"][1], want)
