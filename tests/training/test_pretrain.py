"""`pretrain` from end to end: learning, LM adaptation, resumption after any kill, errors.

All runs share one shape, so that there are few programs to compile.
"""

import dataclasses
import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import pytest
import tokenizers

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import load_t5
from prompt_tuning.training import records
from prompt_tuning.training.corpus import TextConfig, load_corpus
from prompt_tuning.training.objectives import span_lengths
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.pretrain import Pretrainer, pretrain
from prompt_tuning.training.pretraining import Pretraining, architecture, make_batch, starting_model
from prompt_tuning.training.stop import Interrupted
from prompt_tuning.training.validation import validation_loss
from tests.training import killing

NAMES, PLACES = ["Ann", "Ben", "Cat", "Dan"], ["park", "barn", "mill", "tent", "shed"]
TINY = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=1,
                num_heads=2, num_buckets=8, max_distance=16)  # fmt: skip
EOS = 1


def document(seed, index):
    """Some sentences; what is hidden can be known from the rest."""
    random = np.random.default_rng((seed, index))
    facts = [(NAMES[random.integers(4)], PLACES[random.integers(5)]) for _ in range(2)]
    return " ".join(f"{name} is in the {place} so the {place} has {name}" for name, place in facts)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A file with the words of the documents and eight sentinels."""
    words = [f"\u2581{word}" for word in ["is", "in", "the", "so", "has", *NAMES, *PLACES]]
    sentinels = [f"<extra_id_{k}>" for k in reversed(range(8))]
    pieces = ["<pad>", "</s>", "<unk>", *words, "\u2581", *sentinels]
    vocabulary = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    own = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=2))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    own.decoder = tokenizers.decoders.Metaspace()
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    own.save(str(file))
    return str(file)


@pytest.fixture(scope="module")
def tiny(tokenizer):
    """A function that makes a configuration."""

    def make(**changes):
        defaults = {
            "name": "tiny",
            "architecture": None if "start" in changes else TINY,
            "tokenizer": None if "start" in changes else tokenizer,
            "text": TextConfig(documents=400, held_out=40),
            "length": 24,
            "batch_size": 8,
            "steps": 12,
            "optimizer": OptimizerConfig(
                name="adamw", learning_rate=1e-2, weight_decay=0.0, warmup_steps=5, decay="cosine",
                total_steps=200,
            ),
            "eval_every": 6,
            "eval_batches": 2,
        }  # fmt: skip
        return Pretraining(**{**defaults, **changes})

    return make


def run(config, out, **options):
    return pretrain(config, out, document=document, quiet=True, **{"log_every": 4, **options})


def rows(folder: pathlib.Path, kind: str) -> list[dict]:
    lines = (folder.parent / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def outcome(directory: pathlib.Path) -> dict:
    """Everything a run leaves, except wall-clock times."""
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    metrics = [{k: v for k, v in json.loads(x).items() if "second" not in k} for x in lines]
    result = json.loads((directory / "result.json").read_text())
    result.pop("seconds")
    files = [file for file in sorted(directory.rglob("*")) if file.is_file()]
    content = {
        str(file.relative_to(directory)): file.read_bytes()
        for file in files
        if file.name not in ("metrics.jsonl", "result.json", ".lock")
    }
    return {"metrics": metrics, "result": result, **content}


@pytest.fixture(scope="module")
def base(tiny, tmp_path_factory):
    """A trained model: its configuration and folder."""
    config = tiny(steps=200, eval_every=100, keep_steps=(10, 50, 200))
    return config, run(config, tmp_path_factory.mktemp("base"), log_every=20)


def test_the_loss_falls_and_the_card_tells_it(base):
    _, folder = base
    losses = [row["loss"] for row in rows(folder, "train")]
    held_out = {row["step"]: row["loss"] for row in rows(folder, "eval")}
    assert list(held_out) == [10, 50, 100, 200]
    assert losses[-1] < 0.5 * losses[0]
    assert held_out[200] < held_out[100] < held_out[50]
    card = json.loads((folder / "model_card.json").read_text())
    assert (card["steps"], card["validation_loss"]) == (200, held_out[200])
    tokens = 24 + span_lengths(24)[1]
    assert card["tokens"] == 200 * 8 * tokens
    assert card["text"]["documents"] == 400
    assert str(folder) not in json.dumps(card)  # a card may be published
    readme = (folder / "README.md").read_text()
    for fact in (*card["sha256"].values(), card["text"]["sha256"], f"{held_out[200]:.4f}"):
        assert fact in readme


def test_models_load_and_reproduce_their_recorded_loss(base):
    _, folder = base
    for name, step in (("model", 200), ("step-10", 10), ("step-50", 50)):
        t5 = load_t5(folder.parent / name)
        card = json.loads((folder.parent / name / "model_card.json").read_text())
        recorded = Pretraining.from_dict(card["config"])
        assert validation_loss(t5, recorded, document) == card["validation_loss"]
        assert card["steps"] == step
        losses = {row["step"]: row["loss"] for row in rows(folder, "train")}
        assert card["train_loss"] == losses[step]
        assert t5.config == dataclasses.replace(TINY, dropout_rate=t5.config.dropout_rate)
        text = document(0, 0)
        assert t5.tokenizer.decode(t5.tokenizer.encode(text)) == text
    assert not (folder.parent / "step-200").exists()  # it is the last: `model`


def test_adaptation_goes_on_from_a_model(base, tiny, tmp_path):
    """In bfloat16, too: activations, and the weights as they are written."""
    _, folder = base
    changes = {"objective": "prefix_lm", "dtype": "bfloat16", "save_dtype": "bfloat16"}
    config = tiny(start=str(folder), steps=40, eval_every=20, **changes)
    adapted = run(config, tmp_path, log_every=10)
    t5 = load_t5(adapted)
    losses = [row["loss"] for row in rows(adapted, "eval")]
    at_the_start = validation_loss(load_t5(folder), config, document)
    assert losses[-1] < losses[0] < at_the_start
    card = json.loads((adapted / "model_card.json").read_text())
    assert card["start"]["name"] == f"{folder.parent.name}/model"
    recorded = Pretraining.from_dict(card["config"])
    assert validation_loss(t5, recorded, document) == card["validation_loss"] == losses[-1]
    assert {x.dtype.name for x in jax.tree.leaves(load_t5(adapted, dtype="bfloat16").params)} == {
        "bfloat16"
    }
    still = dataclasses.replace(config.optimizer, learning_rate=0.0)
    frozen = run(tiny(start=str(folder), optimizer=still, steps=2, **changes), tmp_path)
    for name, x in names(load_t5(frozen).params).items():
        np.testing.assert_array_equal(x, names(load_t5(folder).params)[name].astype("bfloat16"))


def test_a_wider_model_starts_from_a_narrower_one(base, tiny, tmp_path):
    _, folder = base
    wide = dataclasses.replace(TINY, d_model=2 * TINY.d_model, d_ff=3 * TINY.d_ff)
    still = OptimizerConfig(name="adamw", learning_rate=0.0, weight_decay=0.0)
    config = tiny(start=str(folder), architecture=wide, optimizer=still, steps=1)
    wider = load_t5(run(config, tmp_path))
    assert (wider.config.d_model, wider.config.d_ff) == (wide.d_model, wide.d_ff)
    expected = validation_loss(load_t5(folder), config, document)
    assert validation_loss(wider, config, document) == pytest.approx(expected, rel=1e-5)
    odd = dataclasses.replace(wide, d_model=20)
    with pytest.raises(UserError, match="not in d_model"):
        starting_model(dataclasses.replace(config, architecture=odd))


def names(params):
    return {
        jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path(params)
    }


def test_the_directory_does_not_depend_on_where_folders_lie(tiny, tokenizer):
    first, second = (tiny(start=f"{place}/base/model", tokenizer=None) for place in ("/a", "/b/c"))
    assert first.id == second.id != tiny(start="/a/other/model").id
    files = [TextConfig(files=(f"{place}/x/text.txt",)) for place in ("/a", "/b")]
    assert len({tiny(text=text).id for text in files}) == 1


def test_a_finished_run_is_not_repeated(base):
    config, folder = base
    files = [file for file in folder.parent.rglob("*") if file.name != ".lock"]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert run(config, folder.parent.parent) == folder
    assert before == {file: file.stat().st_mtime_ns for file in before}
    with pytest.raises(UserError, match="was begun with another text than now"):
        pretrain(config, folder.parent.parent, document=lambda seed, index: "Ann is in the park")


def test_a_finished_run_of_other_files_is_refused(tiny, tmp_path):
    file = tmp_path / "text.txt"
    config = tiny(text=TextConfig(files=(str(file),), held_out=4), steps=2, eval_every=2)
    file.write_text("\n".join(document(0, n) for n in range(10)))
    folder = run(config, tmp_path / "out")
    assert run(config, tmp_path / "out") == folder
    lines = file.read_text().splitlines()
    for n in range(10):  # whichever of them is trained on or held out
        file.write_text("\n".join([*lines[:n], document(1, n), *lines[n + 1 :]]))
        with pytest.raises(UserError, match="was begun with another text than now"):
            run(config, tmp_path / "out")


KILLED = """
    import sys, json
    sys.path.insert(0, sys.argv[1])
    import killing, toy_documents
    from prompt_tuning.training import pretrain as module
    from prompt_tuning.training.pretraining import Pretraining

    place, killing.count = sys.argv[3], int(sys.argv[4])

    if place == "rename":
        killing.die_at_commits()
    elif place == "card":  # a model is being written, without its card
        module.write_card = killing.dying(module.write_card, after=False)
    config = Pretraining.from_dict(json.load(open(sys.argv[1] + "/config.json")))
    module.pretrain(config, sys.argv[2], document=toy_documents.document, quiet=True, log_every=4,
                    save_seconds=0.0)
"""


def test_a_run_killed_at_any_moment_ends_as_if_never_killed(tiny, tmp_path, monkeypatch):
    module = f"""
        import numpy as np
        NAMES, PLACES = {NAMES}, {PLACES}
    """
    source = textwrap.dedent(module) + inspect.getsource(document)
    (tmp_path / "toy_documents.py").write_text(source)
    config = tiny(keep_steps=(5,))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    (tmp_path / "killed.py").write_text(textwrap.dedent(KILLED))
    shutil.copy(killing.__file__, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import toy_documents

    options = {"document": toy_documents.document, "quiet": True, "log_every": 4}
    want = outcome(pretrain(config, tmp_path / "whole", **options).parent)
    cache = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    environment = {**os.environ, **cache, "JAX_PLATFORMS": "cpu",
                   "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # fmt: skip
    for place, count in (("rename", 2), ("card", 0)):
        arguments = [tmp_path / "killed.py", tmp_path, tmp_path / "killed", place, str(count)]
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
        assert not list((tmp_path / "killed").rglob("result.json"))
    after = pretrain(config, tmp_path / "killed", **options)
    assert outcome(after.parent) == want


def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(tiny, tmp_path, monkeypatch):
    config = tiny(seed=1)
    want = outcome(run(config, tmp_path / "whole").parent)
    original = records.append_jsonl

    def interrupt(path, row):
        original(path, row)
        if row["step"] == 8:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("prompt_tuning.training.pretrain.append_jsonl", interrupt)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "stopped")
    monkeypatch.undo()
    directory = tmp_path / "stopped" / config.id
    assert not (directory / "result.json").exists()
    # Other text than the run began with is refused.
    with pytest.raises(UserError, match="begun with another text"):
        pretrain(config, tmp_path / "stopped", document=lambda s, n: document(s + 1, n), quiet=True)
    assert outcome(run(config, tmp_path / "stopped").parent) == want


def test_time_before_an_interruption_counts(tiny, tmp_path, monkeypatch):
    config, original = tiny(seed=2, eval_every=100), Pretrainer.read_metrics

    def interrupt(self, keep=0):
        original(self, keep)
        time.sleep(0.2)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Pretrainer, "read_metrics", interrupt)
    with pytest.raises(Interrupted):
        run(config, tmp_path, log_every=100)
    monkeypatch.undo()
    monkeypatch.setattr("prompt_tuning.training.pretrain.time.monotonic", lambda: 0.0)
    folder = run(config, tmp_path, log_every=100).parent
    assert json.loads((folder / "result.json").read_text())["seconds"] > 0.2


@pytest.mark.parametrize(
    ("rate", "what"), [(1e15, "loss is not finite at step [23]"), (1e30, "update is not .* step 1")]
)
def test_a_loss_or_update_that_is_not_finite_names_the_step(tiny, tmp_path, rate, what):
    steep = OptimizerConfig(name="adamw", learning_rate=rate, weight_decay=0.0, warmup_steps=5,
                            decay="cosine", total_steps=200)  # fmt: skip
    config = tiny(optimizer=steep)
    with pytest.raises(UserError, match=f"{config.id}: the {what}\\."):
        run(config, tmp_path)
    assert not (tmp_path / config.id / "result.json").exists()
    assert not list((tmp_path / config.id / "checkpoints").glob("*"))


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_a_batch_is_a_function_of_seed_and_step(tiny, objective):
    config = tiny(objective=objective, batch_size=40)
    t5 = starting_model(config)
    corpus = load_corpus(config.text, "train", t5.tokenizer, document=document)
    sentinels = [t5.tokenizer.sentinel(k) for k in range(8)]

    def batch(seed, step):
        return make_batch(config, t5.config, corpus, sentinels, seed, step)

    first = batch(0, 3)
    assert first.ids_BT.shape == (40, 24)
    for a, b in zip(first[:5], batch(0, 3)[:5], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.ids_BT != batch(1, 3).ids_BT).any()
    assert (first.ids_BT != batch(0, 4).ids_BT).any()
    # Decoder inputs are the targets of the same segment, shifted.
    _, _, inputs, targets, segments, _ = first
    same = segments[:, 1:] == segments[:, :-1]
    np.testing.assert_array_equal(inputs[:, 1:][same], targets[:, :-1][same])
    assert (inputs[:, 0] == t5.config.decoder_start_id).all()
    if objective == "span_corruption":
        assert (first.segments_BT == 1).all()
        assert (first.target_segments_BU == 1).all()


@pytest.mark.parametrize("split", ["anywhere", "last"])
def test_prefix_batches_hold_whole_documents_and_nearly_all(tiny, split):
    config = tiny(objective="prefix_lm", split=split, batch_size=40, length=48)
    t5 = starting_model(config)
    corpus = load_corpus(config.text, "train", t5.tokenizer, document=document)
    known = {tuple(t5.tokenizer.encode(document(0, n))) for n in range(40, 440)}
    seen, whole = 0, 0
    for step in range(5):
        ids, segments, _, targets, target_segments, _ = make_batch(
            config, t5.config, corpus, [], 0, step
        )
        for b in range(40):
            assert segments[b].max() == target_segments[b].max()
            for n in range(1, segments[b].max() + 1):
                x, y = ids[b][segments[b] == n], targets[b][target_segments[b] == n]
                assert x[-1] == y[-1] == EOS
                assert split == "anywhere" or len(y) == 2
                seen += 1
                whole += (*x[:-1].tolist(), *y[:-1].tolist()) in known
    assert whole >= seen - 2 * 5  # a batch cuts one document at either end
    room = 2 * 48 if split == "anywhere" else 48 + 2  # for one document cut in two
    filled = sum(len(x) for x in known) / len(known) * seen / (5 * 40 * room)
    assert filled > 0.7


def test_bad_configurations_are_refused_in_one_line(tiny, tokenizer, tmp_path):
    small = dataclasses.replace(TINY, vocab_size=20)
    cases = [
        (lambda: tiny(steps=0), "steps must be at least 1"),
        (lambda: tiny(architecture=None), "give an architecture"),
        (lambda: tiny(split="lasst"), "split"),
        (lambda: tiny(split="last"), "split last is of the objective prefix_lm"),
        (lambda: tiny(tokenizer=None), "name a tokenizer"),
        (lambda: tiny(keep_steps=(13,)), "between 1 and 12"),
        (lambda: tiny(length=4), "length must be"),
        (lambda: tiny(batch_size=8, micro_batches=3), "micro_batches"),
        (lambda: Pretraining.from_dict({"archtecture": "small"}), "architecture"),
        (lambda: Pretraining.from_dict({"architecture": "tiny"}), "neither a size"),
        (lambda: dataclasses.replace(TINY, activation="mish"), "known: relu, gelu_tanh"),
        (lambda: dataclasses.replace(TINY, d_ff=0, num_heads=-1), "d_ff, num_heads must be pos"),
        (lambda: dataclasses.replace(TINY, dropout_rate=1.0), "dropout_rate must be in"),
        (lambda: tiny(z_loss=-1.0), "z_loss must be 0 or more"),
        (lambda: run(tiny(architecture=small), tmp_path), "vocab_size"),
        (lambda: run(tiny(length=512), tmp_path), "512 ids needs 28"),
        (lambda: run(tiny(start=str(tmp_path / "nowhere")), tmp_path), "nowhere"),
        (lambda: pretrain(tiny(), tmp_path, quiet=True), "no text"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    with records.lock(tmp_path / tiny().id), pytest.raises(UserError, match="in use by process"):
        run(tiny(), tmp_path)


def test_the_configuration_in_json(tiny, tmp_path):
    config = tiny(keep_steps=(3, 7))
    assert Pretraining.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert dataclasses.replace(config, seed=1).id != config.id
    (tmp_path / "size.json").write_text(json.dumps(dataclasses.asdict(TINY)))
    named = {**config.to_dict(), "architecture": str(tmp_path / "size.json")}
    assert Pretraining.from_dict(named) == config
    assert architecture("base").d_model == 768
