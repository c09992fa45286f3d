"""The Hugging Face source, against a stand-in for the package `datasets`."""

import sys
import types

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import DataConfig, get_task


class ClassLabel:
    def __init__(self, *names):
        self.names = list(names)


class Table(list):
    def __init__(self, rows, **features):
        super().__init__(rows)
        self.features = features


@pytest.fixture
def hub(monkeypatch):
    """A module `datasets` whose load_dataset serves `tables` and records its calls."""
    module = types.ModuleType("datasets")
    module.tables, module.calls = {}, []

    def load_dataset(path, name=None, *, split, revision=None, cache_dir=None):
        module.calls.append((path, name, split, revision, cache_dir))
        if (path, name, split) not in module.tables:
            raise ConnectionError("offline\nmore")
        return module.tables[path, name, split]

    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def hf(name, **options):
    return get_task(name, DataConfig("hf", **options))


def test_labels_are_mapped_by_name(hub):
    rows = [
        {"premise": "P", "hypothesis": "H", "idx": 0, "label": 0},
        {"premise": "P", "hypothesis": "H", "idx": 1, "label": -1},
    ]
    # Another order of the classes than ours.
    label = ClassLabel("not_entailment", "entailment")
    hub.tables["aps/super_glue", "rte", "train"] = Table(rows, label=label)
    task = hf("super_glue/rte")
    assert [e.target for e in task.load("train")] == ["not_entailment", "<unk>"]
    assert hub.calls == [("aps/super_glue", "rte", "train", None, None)]
    described = task.source.describe("train")
    assert described == {"source": "hf", "version": "aps/super_glue/rte@main"}


def test_repository_and_revision_can_be_named(hub):
    label = ClassLabel("negative", "positive")
    hub.tables["me/glue", "sst2", "validation"] = Table(
        [{"sentence": "good", "idx": 0, "label": 1}], label=label
    )
    task = hf("glue/sst2", hf_path="me/glue", hf_revision="abc", dir="cache")
    [example] = task.load("validation")
    assert (example.input, example.target) == ("sentence: good", "positive")
    assert hub.calls[-1] == ("me/glue", "sst2", "validation", "abc", "cache")
    assert task.source.describe("validation")["version"] == "me/glue/sst2@abc"


def test_nested_rows(hub):
    squad = {"id": "x", "question": "Who?", "context": "Doe.", "title": "T"}
    answers = {"text": ["Doe"], "answer_start": [0]}
    hub.tables["rajpurkar/squad", None, "train"] = Table([squad | {"answers": answers}])
    [example] = hf("squad").load("train")
    assert example.answers == ("Doe",)
    question = {
        "qid": "a",
        "question": "Who?",
        "context": "Doe.",
        "answers": ["doe"],
        "detected_answers": {"text": ["Doe"], "char_spans": []},
    }
    hub.tables["mrqa-workshop/mrqa", None, "test"] = Table(
        [question | {"subset": "BioASQ"}, question | {"subset": "RACE", "qid": "b"}]
    )
    assert [e.id for e in hf("mrqa/bioasq").load("validation")] == ["a"]
    assert [e.id for e in hf("mrqa/race").load("validation")] == ["b"]


def test_errors_are_one_line(hub, monkeypatch):
    with pytest.raises(UserError, match=r"cannot load aps/super_glue \(cb\).*offline; hf_path"):
        hf("super_glue/cb").load("train")
    with pytest.raises(UserError, match="has no split 'dev'"):
        hf("super_glue/cb").load("dev")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"install the extra prompt-tuning\[hf\]"):
        hf("super_glue/cb").load("train")
