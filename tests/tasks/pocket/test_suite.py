"""The suite: balanced, disjoint, right by an independent reading, and not solved by word counts."""

import collections
import itertools
import json
import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from prompt_tuning.errors import UserError
from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.tasks import DataConfig, get_task, task_names
from prompt_tuning.tasks.data_tools import list_tasks, manifest, prepare, verify
from prompt_tuning.tasks.pocket import TOKENIZER
from prompt_tuning.tasks.pocket.source import SIZES, divided, level_of, split_of
from prompt_tuning.tasks.pocket.suite import TASKS, topic_splits
from prompt_tuning.tasks.recorded import RECORDED
from tests.tasks.pocket import reader, solver

BY_NAME = {task.name.removeprefix("pocket/"): task for task in TASKS}
OWN = {name: task for name, task in BY_NAME.items() if "_from_" not in name}
CLASSES = {name: task for name, task in OWN.items() if task.labels}
SOLVERS = {
    "boolq": reader.boolq,
    "multirc": reader.multirc,
    **dict.fromkeys(("squad", "textbookqa", "duorc"), reader.answer),
    **{name: vars(solver)[name] for name in OWN if name in vars(solver)},
}


@pytest.mark.parametrize("name", OWN)
def test_answers_follow_from_the_text(name):
    task = OWN[name]
    for split in task.splits:
        examples = task.load(split)
        wrong = [e for e in examples if SOLVERS[name](e.input) != e.target]
        assert wrong == []


@pytest.mark.parametrize("name", BY_NAME)
def test_sizes_ids_and_balance(name):
    task = BY_NAME[name]
    for split in task.splits:
        examples = task.load(split)
        assert len(examples) == SIZES[split]
        assert len({e.id for e in examples}) == len(examples)
        assert len({e.input for e in examples}) == len(examples)
        cells = collections.Counter((e.target, level_of(e)) for e in examples)
        if task.labels:
            counts = collections.Counter(e.target for e in examples)
            assert set(counts) == set(task.labels)
            assert len(set(counts.values())) == 1
            # The labels are balanced at every level too.
            assert max(cells.values()) - min(cells.values()) <= 1
        levels = collections.Counter(level_of(e) for e in examples)
        assert len(levels) >= 2
        # Also the first few examples are of all kinds.
        first = {level_of(e) for e in examples[:48]}
        assert first == set(levels)
        assert not task.labels or {e.target for e in examples[:24]} == set(task.labels)


@pytest.mark.parametrize("name", OWN)
def test_no_content_is_in_two_splits(name):
    task = OWN[name]
    keys = [{k for row in task.source.rows(s) for k in row["keys"]} for s in task.splits]
    assert all(keys)
    for one, two in itertools.combinations(keys, 2):
        assert not one & two
    texts = [{e.input for e in task.load(split)} for split in task.splits]
    for one, two in itertools.combinations(texts, 2):
        assert not one & two


def test_contents_fall_into_splits_by_their_hash():
    drawn = collections.Counter(split_of("any", str(n)) for n in range(5000))
    assert drawn["train"] / 5000 == pytest.approx(0.6, abs=0.03)
    assert drawn["validation"] / 5000 == pytest.approx(0.2, abs=0.03)
    assert split_of("one", "x") == split_of("one", "x")
    few = divided("any", [str(n) for n in range(10)])
    assert collections.Counter(few.values()) == {"train": 6, "validation": 2, "test": 2}
    assert set(topic_splits().values()) == set(SIZES)


def test_the_same_rows_every_time():
    task = BY_NAME["rte"]
    again = get_task("pocket/rte")
    assert again.load("validation") == task.load("validation")
    described = task.source.describe("test")
    assert described == get_task("pocket/rte").source.describe("test")
    assert {"source", "version", "seed", "rows_sha256"} == set(described)
    json.dumps(task.source.rows("test"))


def test_the_suite_is_on_record():
    """Whoever changes rows changes VERSION, the record and this suite's results."""
    results = verify(["pocket/"])
    assert {(r.task, r.split) for r in results} == {
        (task.name, split) for task in TASKS for split in task.splits
    }
    assert [r.problem for r in results if not r.ok] == []
    assert all(r.hashed for r in results)
    assert {name for name in RECORDED if name.startswith("pocket/")} == {t.name for t in TASKS}


def test_tasks_need_no_data(tmp_path):
    assert {task.name for task in TASKS} <= set(task_names())
    assert get_task("pocket/boolq", DataConfig(), name_in_text=True).load("test")[0].input[:14] == (
        "boolq passage:"
    )
    assert manifest(get_task("pocket/cb"), "test")["source"] == "pocket"
    listed = {task.name: task for task in list_tasks(str(tmp_path))}["pocket/boolq"]
    assert (listed.prepared, listed.version, listed.rows["train"]) == (True, "generated", 2400)
    with pytest.raises(UserError, match="pocket/boolq is generated, not read"):
        get_task("pocket/boolq", data_dir=str(tmp_path))
    with pytest.raises(UserError, match="nothing to prepare"):
        prepare(["pocket/"], str(tmp_path))
    with pytest.raises(UserError, match="no split 'train'; it has validation, test"):
        get_task("pocket/duorc").load("train")
    with pytest.raises(UserError, match="did you mean pocket/boolq"):
        get_task("pocket/bolq")


FIELDS = {  # T5's, in its order
    "boolq": "passage question",
    "cb": "hypothesis premise",
    "copa": "choice1 choice2 premise question",
    "multirc": "question answer paragraph",
    "rte": "hypothesis premise",
    "wic": "sentence1 sentence2 word",
    "sst2": "sentence",
    "topic": "text",
    "mrpc": "sentence1 sentence2",
    "qqp": "question1 question2",
    **dict.fromkeys(("squad", "textbookqa", "duorc"), "question context"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_inputs_are_short_and_of_known_words(name):
    tokenizer = load_tokenizer(TOKENIZER)
    examples = OWN[name].load("validation")
    pattern = " ".join(f"{field}: [^:]+" for field in FIELDS[name].split(" "))
    assert all(re.fullmatch(pattern, e.input) for e in examples)
    ids = tokenizer.encode_batch([e.input for e in examples])
    assert max(map(len, ids)) < 64
    # Words in letters are those that begin a sentence nowhere in the language.
    letters = [p for i in ids for p in tokenizer.pieces(i) if re.fullmatch("[A-Za-z]|<unk>", p)]
    assert len(letters) < 0.005 * sum(map(len, ids))
    for label in OWN[name].labels:
        assert len(tokenizer.encode(label)) == 1


# --- what can be had without reading --------------------------------------------------------


def constant(task, label):
    examples = task.load("validation")
    return task.score(examples, [label] * len(examples)).metrics


@pytest.mark.parametrize("name", CLASSES)
def test_constant_answers_give_chance(name):
    task = CLASSES[name]
    for label in task.labels:
        metrics = constant(task, label)
        if "accuracy" in metrics:
            assert metrics["accuracy"] == pytest.approx(100 / len(task.labels))
    if name == "multirc":
        assert constant(task, "true") == pytest.approx({"f1a": 200 / 3, "em": 0})
        assert constant(task, "false") == {"f1a": 0, "em": 0}
    if name in ("mrpc", "qqp"):
        assert constant(task, task.labels[1])["f1"] == pytest.approx(200 / 3)


# The best that word counts may reach (accuracy in percent); chance is 50, of cb 33, of topic 17.
CEILINGS = {
    **{"boolq": 56, "multirc": 56, "copa": 60, "wic": 56, "rte": 64, "mrpc": 60, "qqp": 64},
    **{"sst2": 64, "cb": 74},
}


@pytest.mark.parametrize("name", CLASSES)
def test_word_counts_do_not_solve_what_needs_composition(name):
    """Logistic regression on the words of each field (and on all words together)."""
    task = CLASSES[name]
    train, held_out = task.load("train"), task.load("validation") + task.load("test")
    answers = [e.target for e in train], np.array([e.target for e in held_out])

    def by_field(text: str) -> list[str]:
        parts = re.split(r"\b(\w+): ", text)[1:]
        return [
            f"{field} {word}"
            for field, body in zip(parts[::2], parts[1::2], strict=True)
            for word in re.findall(r"\w+", body.lower())
        ]

    scores = []
    for words in (by_field, None):
        counter = CountVectorizer(analyzer=words) if words else CountVectorizer()
        x = counter.fit_transform([e.input for e in train])
        model = LogisticRegression(C=0.1, max_iter=1000).fit(x, answers[0])
        given = model.predict(counter.transform([e.input for e in held_out]))
        scores.append(100 * np.mean(given == answers[1]))
    if name == "topic":
        assert min(scores) > 95  # the easiest: one word suffices
    else:
        assert max(scores) < CEILINGS[name]


# --- transfer and domain shift --------------------------------------------------------------


def test_transfer_takes_the_words_of_either_task():
    task, own = BY_NAME["mrpc_from_qqp"], BY_NAME["mrpc"]
    examples = task.load("validation")
    assert [e.input for e in examples] == [e.input for e in own.load("validation")]
    assert task.labels == BY_NAME["qqp"].labels
    assert task.score(examples, [e.target for e in examples]).primary == 100
    assert task.score(examples, [e.target for e in own.load("validation")]).primary == 100
    assert task.score(examples, ["yes"] * len(examples)).invalid == 100
    back = BY_NAME["qqp_from_mrpc"]
    examples = back.load("validation")
    assert back.labels == own.labels
    assert back.score(examples, [e.target for e in BY_NAME["qqp"].load("validation")]).invalid == 0


def test_answers_stand_in_the_context_and_domains_differ():
    contexts = {}
    for name in ("squad", "textbookqa", "duorc"):
        examples = BY_NAME[name].load("validation")
        for example in examples:
            assert example.target in example.input.split(" context: ")[1]
            assert example.answers == (example.target,)
        contexts[name] = " ".join(e.input for e in examples)
        assert BY_NAME[name].score(examples, [e.target for e in examples]).primary == 100
    assert not re.search(r"\bthe (mill|inn|tower)\b", contexts["squad"])
    assert re.search(r"\bthe (mill|inn|tower)\b", contexts["textbookqa"])
    assert "went to" not in contexts["squad"] + contexts["textbookqa"]
    assert "went to" in contexts["duorc"]
    assert BY_NAME["textbookqa"].splits == BY_NAME["duorc"].splits == ("validation", "test")
