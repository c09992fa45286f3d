"""`load_t5` by every kind of name. Nothing here reaches a network: downloads are stood in for."""

import dataclasses
import pathlib
import shutil

import huggingface_hub
import jax
import jax.numpy as jnp
import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors.numpy import load_file

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import load_t5, pocket_models, save_t5
from prompt_tuning.t5.model import param_shapes

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Stands in for `snapshot_download`: copies what the patterns allow, and keeps the calls."""

    def __init__(self, source: pathlib.Path, cache: pathlib.Path):
        self.source, self.folder, self.calls = source, cache / "snapshots" / COMMIT, []

    def __call__(self, repo_id, *, revision=None, allow_patterns):
        self.calls.append((repo_id, revision, allow_patterns))
        self.folder.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in self.source.iterdir()]
        for name in huggingface_hub.utils.filter_repo_objects(names, allow_patterns=allow_patterns):
            (self.folder / name).write_bytes((self.source / name).read_bytes())
        return str(self.folder)


@pytest.fixture
def hub(tmp_path, make_t5, monkeypatch):
    save_t5(make_t5(), tmp_path / "remote", max_shard_bytes=2000)
    for name in ("tf_model.h5", "flax_model.msgpack", "README.md"):
        (tmp_path / "remote" / name).write_bytes(b"never fetched")
    stand_in = Hub(tmp_path / "remote", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", stand_in)
    monkeypatch.chdir(tmp_path)
    return stand_in


def test_a_hub_id_fetches_what_is_needed_and_keeps_the_commit(hub, make_t5, assert_same):
    (hub.source / "pytorch_model.bin").write_bytes(b"never fetched")
    t5 = load_t5("owner/model", revision="main")
    assert_same(t5, make_t5())
    assert (t5.name, t5.revision) == ("owner/model", COMMIT)
    assert [call[:2] for call in hub.calls] == [("owner/model", "main")]
    fetched = {path.name for path in hub.folder.iterdir()}
    assert "model.safetensors.index.json" in fetched
    assert not fetched & {"tf_model.h5", "flax_model.msgpack", "README.md", "pytorch_model.bin"}


def test_bin_is_fetched_only_where_no_safetensors_are(hub, make_t5, assert_same, write_torch):
    arrays = {}
    for file in hub.source.glob("model*"):
        if file.suffix == ".safetensors":
            arrays |= load_file(file)
        file.unlink()
    write_torch(hub.source / "pytorch_model.bin", arrays)
    assert_same(load_t5("model-without-owner"), make_t5())
    assert len(hub.calls) == 2
    assert "pytorch_model.bin" not in hub.calls[0][2]
    assert "pytorch_model.bin" in hub.calls[1][2]


def test_a_repository_without_weights(hub):
    for file in hub.source.glob("model*"):
        file.unlink()
    with pytest.raises(UserError, match="no T5 in this folder"):
        load_t5("owner/model")


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("not in the cache\nand more lines"),
        OfflineModeIsEnabled("offline mode is on"),
        HFValidationError("bad name"),
        ConnectionError("no route to host"),
        huggingface_hub.errors.RevisionResolutionError("cannot resolve"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_line(hub, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(UserError, match="check the name and the network, or") as caught:
        load_t5("owner/model", revision="v2")
    message = str(caught.value)
    assert message.startswith("owner/model: no such folder here, and it cannot be had")
    assert str(error).splitlines()[0] in message
    assert "at revision v2" in message
    assert "\n" not in message


def test_paths_never_go_to_the_hub(hub, make_t5):
    for name in ("./weights", "/no/such/folder", "a/b/c", "spaces in it"):
        with pytest.raises(UserError, match="no such file or folder"):
            load_t5(name)
    save_t5(make_t5(), "local")
    assert load_t5("local").revision is None
    assert load_t5(pathlib.Path("local")).name == "local"
    with pytest.raises(UserError, match="revision 'main' is for hub ids"):
        load_t5("local", revision="main")
    with pytest.raises(UserError, match=r"max_distance is in config\.json"):
        load_t5("local", max_distance=9)
    assert hub.calls == []


def test_random_weights_by_size(monkeypatch):
    tiny = T5Config(num_layers=1, num_decoder_layers=1, vocab_size=32128, d_model=8, d_ff=8, d_kv=4)
    monkeypatch.setattr("prompt_tuning.t5.load.SIZES", {"small": tiny})
    t5 = load_t5("random:small", dtype="bfloat16")
    assert (t5.name, t5.dtype) == ("random:small", jnp.bfloat16)
    assert jax.tree.map(jnp.shape, t5.params) == jax.tree.map(jnp.shape, param_shapes(tiny))
    drawn = t5.params["token_embedder"]["embedding"].astype(jnp.float32)
    assert 0.99 < float(drawn.std()) < 1.01
    with pytest.raises(UserError, match="random:small has no tokenizer"):
        t5.tokenizer.encode("Hello")
    with pytest.raises(UserError, match=r"no size 'huge' of T5 1\.1; use small"):
        load_t5("random:huge")


def test_the_folder_brings_its_tokenizer(tmp_path, make_t5, shared_data):
    t5 = make_t5(vocab_size=32128)
    save_t5(t5, tmp_path / "a")
    with pytest.raises(UserError, match="a has no tokenizer: put its"):
        load_t5(tmp_path / "a").tokenizer.encode("text")
    source = shared_data / "t5" / "spiece.model"
    given = load_t5(tmp_path / "a", tokenizer=source)
    save_t5(given, tmp_path / "b")
    own = load_t5(tmp_path / "b")
    assert own.tokenizer.hash == given.tokenizer.hash
    assert own.tokenizer.encode("Hello World!") == [8774, 1150, 55]
    save_t5(make_t5(), tmp_path / "c")
    with pytest.raises(UserError, match="32100 pieces, the embedding table 40 rows"):
        load_t5(tmp_path / "c", tokenizer=source)
    (tmp_path / "b" / "spiece.model").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"spiece\.model: not a T5 vocabulary"):
        load_t5(tmp_path / "b")


def test_the_pocket_family_by_name(tmp_path, make_t5, assert_same, monkeypatch, hub):
    monkeypatch.setattr("prompt_tuning.t5.load.POCKET_MODELS", tmp_path / "pocket")
    with pytest.raises(UserError, match="there are: none in this copy"):
        load_t5("pocket:xs")
    models = {"xs": {}, "xs@20": {}, "xs@0": {}, "xs@100": {}, "b": {"d_model": 64}}
    for name, fields in models.items():
        save_t5(make_t5(**fields), tmp_path / "pocket" / name, "bfloat16", max_shard_bytes=3000)
    assert (tmp_path / "pocket" / "xs" / "model.safetensors.index.json").exists()
    names = ["pocket:xs@0", "pocket:xs@20", "pocket:xs@100", "pocket:xs", "pocket:b"]
    assert pocket_models() == names
    # Stored in bfloat16, in float32 on a CPU unless asked otherwise.
    t5 = load_t5("pocket:xs")
    assert (t5.name, t5.dtype, t5.revision) == ("pocket:xs", jnp.float32, None)
    stored = make_t5("bfloat16")
    assert_same(load_t5("pocket:xs", dtype="bfloat16"), stored)
    float32 = jax.tree.map(lambda x: x.astype(jnp.float32), stored.params)
    assert_same(t5, dataclasses.replace(stored, params=float32))
    # A copy of the folder is a model like any other.
    shutil.copytree(tmp_path / "pocket" / "xs@0", tmp_path / "copy")
    assert_same(load_t5(tmp_path / "copy"), load_t5("pocket:xs@0"))
    for name in ("pocket:xss", "pocket:xs@7", "pocket:", "pocket:../copy"):
        with pytest.raises(UserError) as caught:
            load_t5(name)
        line = f"no model {name!r} in the pocket family; there are: {', '.join(names)}"
        assert str(caught.value) == line
    with pytest.raises(UserError, match="revision 'v1' is for hub ids, but pocket:b is on this"):
        load_t5("pocket:b", revision="v1")
    assert hub.calls == []
