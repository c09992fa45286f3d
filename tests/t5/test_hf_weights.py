"""Hugging Face folders: round trips bit for bit, strict both ways, one clear line for bad input."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from prompt_tuning.errors import UserError
from prompt_tuning.t5.load import load_t5, save_t5

FIELDS = {
    "t5_1_1": {},
    "t5_1_0": {"gated": False, "activation": "relu", "tied_head": True, "scale_logits": True},
    "tied_unscaled": {"tied_head": True},
    "untied_scaled": {"scale_logits": True, "activation": "silu"},
}


def edit_weights(folder, change):
    """Rewrites model.safetensors after `change` has altered its dictionary."""
    arrays = load_file(folder / "model.safetensors")
    change(arrays)
    save_file(arrays, folder / "model.safetensors")


def edit_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def folder(tmp_path, make_t5):
    save_t5(make_t5(), tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shard_bytes", [10**9, 1500, 1])
def test_round_trip(tmp_path, make_t5, assert_same, name, dtype, shard_bytes):
    t5 = make_t5(dtype, **FIELDS[name])
    save_t5(t5, tmp_path / "a", max_shard_bytes=shard_bytes)
    assert_same(load_t5(tmp_path / "a", dtype=dtype), t5)
    files = list((tmp_path / "a").glob("*.safetensors"))
    assert (len(files) > 1) == (shard_bytes < 10**9)
    assert len({oct(file.stat().st_mode) for file in (tmp_path / "a").iterdir()}) == 1
    stored = json.loads((tmp_path / "a" / "config.json").read_text())["dtype"]
    assert stored == dtype


def test_shards_are_as_large_as_allowed_and_the_index_is_complete(tmp_path, make_t5):
    save_t5(make_t5(), tmp_path / "a", max_shard_bytes=2000)
    index = json.loads((tmp_path / "a" / "model.safetensors.index.json").read_text())
    sizes = {}
    for file in set(index["weight_map"].values()):
        arrays = load_file(tmp_path / "a" / file)
        assert {name for name, where in index["weight_map"].items() if where == file} == set(arrays)
        sizes[file] = sum(array.nbytes for array in arrays.values())
    assert all(size <= 2000 for size in sizes.values())
    assert index["metadata"]["total_size"] == sum(sizes.values())


def test_names_and_orientation_are_those_of_hugging_face(folder, make_t5):
    """Spelled out here for one tensor of every kind, from the T5X-to-HF table of the docs."""
    arrays, params = load_file(folder / "model.safetensors"), make_t5().params
    encoder, decoder = params["encoder"], params["decoder"]
    first = "layer.0.SelfAttention"
    expected = {
        "shared.weight": params["token_embedder"]["embedding"],
        "lm_head.weight": decoder["logits_dense"]["kernel"].T,
        f"encoder.block.0.{first}.relative_attention_bias.weight": (
            encoder["relpos_bias"]["rel_embedding"].T
        ),
        f"decoder.block.0.{first}.relative_attention_bias.weight": (
            decoder["relpos_bias"]["rel_embedding"].T
        ),
        "encoder.final_layer_norm.weight": encoder["encoder_norm"]["scale"],
        "decoder.final_layer_norm.weight": decoder["decoder_norm"]["scale"],
    }
    for i in range(2):
        block, layers = f"encoder.block.{i}", encoder["layers"]
        for theirs, own in zip("qkvo", ("query", "key", "value", "out"), strict=True):
            expected[f"{block}.{first}.{theirs}.weight"] = layers["attention"][own]["kernel"][i].T
        for name in ("wi_0", "wi_1", "wo"):
            key = f"{block}.layer.1.DenseReluDense.{name}.weight"
            expected[key] = layers["mlp"][name]["kernel"][i].T
        for j, own in enumerate(("pre_attention_layer_norm", "pre_mlp_layer_norm")):
            expected[f"{block}.layer.{j}.layer_norm.weight"] = layers[own]["scale"][i]
    for i in range(3):
        block, layers = f"decoder.block.{i}", decoder["layers"]
        for theirs, own in zip("qkvo", ("query", "key", "value", "out"), strict=True):
            kernels = layers["self_attention"], layers["encoder_decoder_attention"]
            expected[f"{block}.{first}.{theirs}.weight"] = kernels[0][own]["kernel"][i].T
            key = f"{block}.layer.1.EncDecAttention.{theirs}.weight"
            expected[key] = kernels[1][own]["kernel"][i].T
        for name in ("wi_0", "wi_1", "wo"):
            key = f"{block}.layer.2.DenseReluDense.{name}.weight"
            expected[key] = layers["mlp"][name]["kernel"][i].T
        norms = "pre_self_attention_layer_norm", "pre_cross_attention_layer_norm"
        for j, own in enumerate((*norms, "pre_mlp_layer_norm")):
            expected[f"{block}.layer.{j}.layer_norm.weight"] = layers[own]["scale"][i]
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], np.asarray(array), err_msg=name)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pytorch_bin(folder, make_t5, assert_same, write_torch, sharded, dtype):
    """As old hub folders have it: copies of the table that share its storage, a dead bias."""
    arrays = load_file(folder / "model.safetensors")
    arrays = {name: array.astype(jnp.dtype(dtype)) for name, array in arrays.items()}
    for stack in ("encoder", "decoder"):
        arrays[f"{stack}.embed_tokens.weight"] = arrays["shared.weight"]
    dead = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    arrays[dead] = np.zeros((6, 2), np.float32)
    (folder / "model.safetensors").unlink()
    if sharded:
        # PyTorch keeps tensors that share their storage in one shard.
        parts = [{}, {}]
        for name, array in arrays.items():
            parts["embed" in name or "shared" in name][name] = array
        weight_map = {}
        for number, part in enumerate(parts):
            file = f"pytorch_model-{number}.bin"
            write_torch(folder / file, part)
            weight_map |= dict.fromkeys(part, file)
        index = folder / "pytorch_model.bin.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    else:
        write_torch(folder / "pytorch_model.bin", arrays)
    assert_same(load_t5(folder, dtype=dtype), make_t5(dtype))


def test_safetensors_come_before_bin(folder, make_t5, assert_same, write_torch):
    write_torch(folder / "pytorch_model.bin", {}, content=b"cos\nsystem\n.")
    assert_same(load_t5(folder), make_t5())


def test_strict_both_ways(folder):
    def change(arrays):
        for name in [name for name in arrays if ".SelfAttention.q." in name]:
            arrays[name.replace("SelfAttention", "Attn")] = arrays.pop(name)
        del arrays["decoder.final_layer_norm.weight"]

    edit_weights(folder, change)
    with pytest.raises(UserError) as caught:
        load_t5(folder)
    message = str(caught.value)
    assert "6 missing (decoder.block.0.layer.0.SelfAttention.q.weight, " in message
    assert "5 unexpected (decoder.block.0.layer.0.Attn.q.weight, " in message
    assert message.count("SelfAttention.q.weight") + message.count("final_layer_norm") <= 5
    assert "\n" not in message


def test_a_checkpoint_of_another_size_is_refused(folder):
    edit_config(folder, num_layers=3)
    with pytest.raises(UserError, match=r"9 missing \(encoder\.block\.2\."):
        load_t5(folder)
    edit_config(folder, num_layers=1)
    with pytest.raises(UserError, match=r"9 unexpected \(encoder\.block\.1\."):
        load_t5(folder)
    edit_config(folder, num_layers=2, d_ff=11)
    with pytest.raises(UserError, match=r"wi_0.* has shape \(8, 10\), the configuration says"):
        load_t5(folder)
    edit_config(folder, d_ff=10, feed_forward_proj="relu", is_gated_act=False)
    with pytest.raises(UserError, match=r"5 missing .*wi\.weight.*10 unexpected .*wi_0\.weight"):
        load_t5(folder)


def test_the_weights_decide_whether_the_head_is_tied(folder, make_t5, assert_same):
    # Transformers 5 writes true for a head of its own ...
    edit_config(folder, tie_word_embeddings=True)
    assert_same(load_t5(folder), make_t5())
    # ... and an equal head is a tied one.
    edit_weights(folder, lambda arrays: arrays.update({"lm_head.weight": arrays["shared.weight"]}))
    assert_same(load_t5(folder), make_t5(tied_head=True))
    # Version 4's false means a matrix of its own, whatever its values ...
    edit_config(folder, tie_word_embeddings=False)
    t5 = load_t5(folder)
    assert not t5.config.tied_head
    np.testing.assert_array_equal(
        t5.params["decoder"]["logits_dense"]["kernel"], t5.params["token_embedder"]["embedding"].T
    )
    # ... which must be there.
    edit_weights(folder, lambda arrays: arrays.pop("lm_head.weight"))
    with pytest.raises(UserError, match=r"1 missing \(lm_head\.weight\)"):
        load_t5(folder)


def test_copies_of_the_table_must_be_copies(folder, make_t5, assert_same):
    def copy(arrays):
        arrays["encoder.embed_tokens.weight"] = arrays["shared.weight"].copy()

    def alter(arrays):
        arrays["encoder.embed_tokens.weight"][3, 3] += 1

    edit_weights(folder, copy)
    assert_same(load_t5(folder), make_t5())
    edit_weights(folder, alter)
    with pytest.raises(UserError, match=r"encoder\.embed_tokens\.weight differs from shared"):
        load_t5(folder)


def test_types(folder, make_t5, assert_same):
    t5 = load_t5(folder, dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(t5.params)} == {jnp.dtype("bfloat16")}
    assert_same(t5, make_t5("bfloat16"))
    # One checkpoint has one fingerprint, whatever it is loaded as; another model has another.
    assert t5.fingerprint == make_t5().fingerprint == make_t5(dropout_rate=0.0).fingerprint
    assert t5.fingerprint != make_t5(scale_logits=True).fingerprint
    assert t5.fingerprint != make_t5(vocab_size=41).fingerprint
    assert load_t5(folder).dtype == jnp.float32
    with pytest.raises(UserError, match=r"float16 is refused: .*overflow"):
        load_t5(folder, dtype="float16")
    with pytest.raises(UserError, match="unknown dtype 'int4'"):
        load_t5(folder, dtype="int4")

    def quantise(arrays):
        name = "encoder.block.0.layer.0.SelfAttention.q.weight"
        arrays[name] = arrays[name].astype(np.int8)

    edit_weights(folder, quantise)
    with pytest.raises(UserError, match="is int8, not a floating type"):
        load_t5(folder)


def test_stored_float16_needs_a_word(folder, monkeypatch):
    """On CPU it is read as float32; on an accelerator, where the stored type stays, it is not."""
    edit_weights(
        folder,
        lambda arrays: arrays.update({k: v.astype(np.float16) for k, v in arrays.items()}),
    )
    assert load_t5(folder).dtype == jnp.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(UserError, match="stored as float16, in which T5's activations overflow"):
        load_t5(folder)
    assert load_t5(folder, dtype="bfloat16").dtype == jnp.bfloat16


def test_stored_bfloat16_stays_on_an_accelerator(tmp_path, make_t5, assert_same, monkeypatch):
    save_t5(make_t5("bfloat16"), tmp_path / "a")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert_same(load_t5(tmp_path / "a"), make_t5("bfloat16"))


def test_broken_folders(folder, tmp_path):
    whole = (folder / "model.safetensors").read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        (folder / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"model\.safetensors: truncated or not safetensors"):
            load_t5(folder)
    (folder / "model.safetensors").write_bytes(whole)
    (folder / "config.json").write_text('{"model_type": "t5"')
    with pytest.raises(UserError, match=r"config\.json: cannot be read as JSON"):
        load_t5(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json: no such file"):
        load_t5(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no T5 in this folder; expected"):
        load_t5(tmp_path / "empty")
    with pytest.raises(UserError, match="name the folder"):
        load_t5(folder / "model.safetensors")


def test_broken_shards(tmp_path, make_t5):
    save_t5(make_t5(), tmp_path / "a", max_shard_bytes=2000)
    index = tmp_path / "a" / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    first, second, *_ = sorted(set(content["weight_map"].values()))

    (tmp_path / "a" / first).rename(tmp_path / first)
    with pytest.raises(UserError, match=f"the shard {first}, which is not in the folder"):
        load_t5(tmp_path / "a")
    index.write_text(json.dumps(content).replace(first, f"../{first}"))
    with pytest.raises(UserError, match="which is not in the folder"):
        load_t5(tmp_path / "a")
    shutil.copy(tmp_path / "a" / second, tmp_path / "a" / first)
    index.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"missing .*unexpected"):
        load_t5(tmp_path / "a")
    index.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(UserError, match="no weight_map"):
        load_t5(tmp_path / "a")


def test_saving_is_all_or_nothing(tmp_path, make_t5, monkeypatch):
    save_t5(make_t5(), tmp_path / "deep" / "a")
    with pytest.raises(UserError, match="already exists"):
        save_t5(make_t5(), tmp_path / "deep" / "a")
    (tmp_path / "empty").mkdir()
    save_t5(make_t5(), tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="already exists"):
        save_t5(make_t5(), tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        save_t5(make_t5(), tmp_path / "file" / "below")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prompt_tuning.t5.hf_weights.save_file", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_t5(make_t5(), tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty", "file"]
