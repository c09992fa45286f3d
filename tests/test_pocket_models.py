"""The pocket family: its recipe in miniature, and what is shipped of it."""

import hashlib
import json
import tomllib

import pytest

from experiments import pocket_pretraining as recipe
from prompt_tuning.errors import UserError
from prompt_tuning.t5 import load
from prompt_tuning.t5.load import load_t5, pocket_folder, pocket_models
from prompt_tuning.t5.model import count_params
from prompt_tuning.t5.widen import widen
from prompt_tuning.tasks.pocket import TOKENIZER
from prompt_tuning.training.corpus import TextConfig
from tests.conftest import ROOT

SHIPPED = pocket_models()


def card_of(folder):
    return json.loads((folder / "model_card.json").read_text())


def test_the_recipe_in_miniature(tmp_path, monkeypatch, capsys):
    text, first, lessons = (TextConfig(documents=300, held_out=30, seed=n) for n in range(3))
    rounds = (
        recipe.Lessons(recipe.first_lesson, first, 22, 1e-2, length=32),  # compiled once
        recipe.Lessons(recipe.lesson, lessons, 22, 1e-2, length=32),
    )
    phases = recipe.Phase(3, 1e-2), recipe.Phase(4, 1e-2)
    tiny = recipe.Size(8, 1, 4, 16, *phases, rounds, (1, 2), (0, 2, 4))
    wide = recipe.Size(16, 1, 8, 32, *phases, rounds[1:], (), (), widened="xs")
    monkeypatch.setattr(recipe, "SIZES", {"xs": tiny, "xl": wide})
    monkeypatch.setattr(recipe, "TEXT", text)
    monkeypatch.setattr(recipe, "LESSONS", lessons)
    monkeypatch.setattr(recipe, "WARMUP", 1)
    small, shared = {"length": 32, "batch_size": 4, "eval_batches": 1}, recipe._shared
    monkeypatch.setattr(recipe, "_shared", lambda *args: shared(*args) | small)
    monkeypatch.setattr(recipe, "SHARD_BYTES", 10_000)
    monkeypatch.setattr(load, "POCKET_MODELS", tmp_path / "package")
    words = ["--out", str(tmp_path / "out"), "--quiet", "--install", str(tmp_path / "package")]
    recipe.main(words)
    names = ["pocket:xs@0", "pocket:xs@2", "pocket:xs@4", "pocket:xs", "pocket:xl"]
    assert pocket_models() == names
    assert [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()] == names
    cards = [card_of(pocket_folder(name)) for name in names]
    assert [card["steps"] for card in cards] == [3, 2, 4, 22, 22]  # the last two: of lessons
    assert [card["objective"] for card in cards] == ["span_corruption", *["prefix_lm"] * 4]
    [wide] = (tmp_path / "out").glob("xl-span_corruption-*/manifest.json")
    assert json.loads(wide.read_text())["start"]["name"].startswith("xs-prefix_lm-s2-")
    assert [card["config"]["split"] for card in cards] == [*["anywhere"] * 3, "last", "last"]
    for name, card in zip(names, cards, strict=True):
        check(name, exact=True)
        size = name.removeprefix("pocket:").partition("@")[0]
        assert card["command"] == f"python experiments/pocket_pretraining.py --size {size}"
        assert str(tmp_path) not in json.dumps(card)
        assert f"{card['validation_loss']:.4f}" in (pocket_folder(name) / "README.md").read_text()
    assert len(cards[0]["sha256"]) > 1  # in shards
    # Again: nothing is trained, and the same is written.
    left = tmp_path / ".package" / "xs@2" / "config.json"  # by a kill
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    before = {file: file.read_bytes() for file in (tmp_path / "package").rglob("*.*")}
    monkeypatch.setattr("prompt_tuning.training.pretrain.Pretrainer.train", None)
    recipe.main(words)
    assert {file: file.read_bytes() for file in (tmp_path / "package").rglob("*.*")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "package"]
    # A model of another language is not measured on this one.
    for which, name in (("document", "xs@4"), ("lesson", "xs")):
        monkeypatch.setattr(recipe, which, lambda seed, index: "Some other text.")
        with pytest.raises(UserError, match=f"{name}: the pocket language has changed"):
            recipe.measure(pocket_folder(f"pocket:{name}"))


def check(name, exact=False):
    """What a model in the package must be."""
    folder = pocket_folder(name)
    card, t5 = card_of(folder), load_t5(name)
    assert (card["name"], card["parameters"]) == (name, count_params(t5.config))
    assert t5.dtype == "float32"
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert t5.tokenizer.hash == load.load_tokenizer(TOKENIZER).hash
    for file, digest in card["sha256"].items():
        content = (folder / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) < 5_000_000
    # Another processor may round otherwise.
    tolerance = 0.0 if exact else 1e-4
    assert recipe.measure(folder)["loss"] == pytest.approx(card["validation_loss"], rel=tolerance)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_reproduce_their_recorded_loss(name):
    check(name)


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped")
def test_the_family_is_whole_and_small():
    assert [f"pocket:{name}" for size in recipe.SIZES for name in recipe.shipped(size)] == SHIPPED
    weights = load.POCKET_MODELS.rglob("*.safetensors")
    assert sum(file.stat().st_size for file in weights) <= 25_000_000
    adapted = [card_of(pocket_folder(f"pocket:{size}")) for size in recipe.SIZES]
    parameters = [card["parameters"] for card in adapted]
    losses = [card["validation_loss"] for card in adapted]
    assert parameters == sorted(parameters)
    # Of the answers in lessons; at which step a skill sets in differs from size to size.
    assert losses[0] > losses[1] > max(losses[2:])
    assert parameters[-1] > 50 * parameters[0]


@pytest.mark.parametrize("name", recipe.SIZES)
def test_each_size_is_a_valid_configuration(name, tmp_path):
    size = recipe.SIZES[name]
    rounds = [recipe.lessons(name, number, tmp_path) for number in range(len(size.lessons))]
    last = rounds[-1]
    assert (last.objective, last.split) == ("prefix_lm", "last")
    assert last.text in (recipe.LESSONS, recipe.FAR_LESSONS)
    assert len({one.seed for one in rounds}) == len(rounds)
    then = recipe.adaptation(name, tmp_path)
    assert set(size.ship) <= {0, *then.keep_steps, then.steps}
    first = recipe.pretraining(name)
    assert first.architecture == size.architecture
    assert first.id.startswith(f"{name}-span_corruption")
    if size.widened:
        widen(*starting_point(f"pocket:{size.widened}"), size.architecture)
    else:
        assert size.lessons[0].made is recipe.first_lesson
        assert (rounds[0].split, rounds[0].text) == ("last", recipe.FIRST_LESSONS)


def starting_point(name):
    t5 = load_t5(name)
    return t5.params, t5.config


def test_a_wheel_takes_the_weights_along():
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert hatch == {"targets": {"wheel": {"packages": ["prompt_tuning"]}}}  # nothing is excluded
    assert load.POCKET_MODELS.is_relative_to(ROOT / "prompt_tuning")
    ignored = (ROOT / ".gitignore").read_text().split()  # the build leaves out what git ignores
    assert not [pattern for pattern in ignored if "safetensors" in pattern or "json" in pattern]
