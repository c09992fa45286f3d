"""Metrics against scikit-learn and scipy, and properties that hold for any data."""

import random

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import glue_average, metrics, superglue_average
from prompt_tuning.tasks.base import Example
from prompt_tuning.tasks.catalog import get_task, task_names

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=30)
BINARY = st.lists(st.tuples(st.integers(0, 1), st.integers(-1, 2)), min_size=1, max_size=30)
SCORES = st.lists(
    st.tuples(*[st.floats(-5, 5, width=32, allow_subnormal=False)] * 2), min_size=2, max_size=30
)
WORDS = st.lists(st.sampled_from(["red", "blue", "cat", "Dog's", "x1"]), min_size=1, max_size=5)
PHRASES = WORDS.map(" ".join)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(CLASSES)
def test_accuracy_and_macro_f1_equal_scikit_learn(pairs):
    targets, predictions = map(list, zip(*pairs, strict=True))
    assert metrics.accuracy(targets, predictions) == pytest.approx(
        100 * sklearn.metrics.accuracy_score(targets, predictions)
    )
    expected = sklearn.metrics.f1_score(
        targets, predictions, labels=[0, 1, 2], average="macro", zero_division=0
    )
    assert metrics.mean_class_f1(targets, predictions, 3) == pytest.approx(100 * expected)


@QUICK
@given(BINARY)
def test_f1_with_invalid_equals_scikit_learn_with_invalid_made_wrong(pairs):
    targets, predictions = map(list, zip(*pairs, strict=True))
    wrong = [p if p in (0, 1) else 1 - t for t, p in pairs]
    expected = sklearn.metrics.f1_score(targets, wrong, zero_division=0)
    assert metrics.f1_with_invalid(targets, predictions) == pytest.approx(100 * expected)


@QUICK
@given(CLASSES)
def test_matthews_equals_scikit_learn(pairs):
    targets, predictions = map(list, zip(*pairs, strict=True))
    if len({*targets, *predictions}) == 1:
        assert metrics.matthews(targets, predictions) == 0
        return
    expected = sklearn.metrics.matthews_corrcoef(targets, predictions)
    assert metrics.matthews(targets, predictions) == pytest.approx(100 * expected, abs=1e-9)


@QUICK
@given(SCORES)
def test_correlations_equal_scipy(pairs):
    targets, predictions = map(list, zip(*pairs, strict=True))
    if len(set(targets)) == 1 or len(set(predictions)) == 1:
        assert metrics.pearson(targets, predictions) == 0
        assert metrics.spearman(targets, predictions) == 0
        return
    expected = scipy.stats.spearmanr(targets, predictions)[0]
    assert metrics.spearman(targets, predictions) == pytest.approx(100 * expected, abs=1e-6)
    if min(np.std(targets), np.std(predictions)) > 1e-3:
        expected = scipy.stats.pearsonr(targets, predictions)[0]
        assert metrics.pearson(targets, predictions) == pytest.approx(100 * expected, abs=1e-6)


def test_correlations_survive_extreme_outputs():
    assert metrics.pearson([1.0, 2.0, 3.0], [1.0, 2.0, 1e300]) == pytest.approx(86.6025, abs=1e-3)
    assert metrics.spearman([1.0, 2.0, 3.0], [-1e308, 0.0, 1e308]) == pytest.approx(100)


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.matthews, metrics.pearson])
def test_lengths_must_agree_and_not_be_zero(metric):
    with pytest.raises(ValueError, match="2 targets but 1 predictions"):
        metric([1, 0], [1])
    with pytest.raises(ValueError, match="nothing to score"):
        metric([], [])


@pytest.mark.parametrize(
    ("referent", "prediction", "expected"),
    [
        ("the cat", "Cat", 1),
        ("the cat", " the  cat ", 1),
        ("the cat", "the dog", 0),
        ("fuzzy hungry bunny", "hungry dog", 0),
        ("fuzzy hungry bunny", "hungry bunny", 1),
        ("bunny", "the fuzzy bunny", 1),
        ("Bob", "Bob's hat", 0),
        ("Bob's hat", "bob's hat", 1),
        ("the cat", "the", -1),
        ("the cat", "   ", -1),
    ],
)
def test_wsc_match(referent, prediction, expected):
    assert metrics.wsc_match(referent, prediction) == expected


def test_squad_takes_the_best_answer_and_ignores_articles_case_and_punctuation():
    assert metrics.squad([["The Cat!", "dog"]], ["cat"]) == (100, 100)
    exact, f1 = metrics.squad([["red blue cat"]], ["blue cat sat"])
    assert (exact, f1) == (0, pytest.approx(100 * 2 / 3))


# --- every task ------------------------------------------------------------------------------


def sample(name, seed, size=12):
    """Examples of a task and outputs of varying quality, without any data file."""
    rng = random.Random(seed)
    task = get_task(name)
    examples, outputs = [], []
    for number in range(size):
        if task.labels:
            target = rng.choice(task.labels)
            answers = ()
            output = rng.choice([target, rng.choice(task.labels), "nonsense", ""])
        else:
            target = rng.choice(["red cat", "blue dog", "x1", "the big moose"])
            answers = (target, "another answer")
            output = rng.choice([target, "cat", "Another  answer.", ""])
        # A group per question, pair or query. In a free-text set each example is its own.
        group = str(number // 2) if task.labels else str(number)
        label = rng.randint(0, 1) if name == "super_glue/wsc" else None
        examples.append(Example(str(number), "text", target, answers, group, label))
        outputs.append(output)
    return task, examples, outputs


@pytest.mark.parametrize("name", task_names())
def test_order_never_changes_a_score(name):
    for seed in range(5):
        task, examples, outputs = sample(name, seed)
        order = list(range(len(examples)))
        random.Random(seed).shuffle(order)
        before = task.score(examples, outputs)
        after = task.score([examples[i] for i in order], [outputs[i] for i in order])
        assert after.metrics == pytest.approx(before.metrics)
        assert after.primary == pytest.approx(before.primary)
        assert after.invalid == before.invalid


@pytest.mark.parametrize("name", task_names())
def test_perfect_outputs_score_100_and_are_all_legal(name):
    for seed in range(5):
        task, examples, _ = sample(name, seed)
        if name == "super_glue/wsc":
            # The right answer to a false referent is anything else.
            outputs = [e.target if e.label == 1 else "somebody else" for e in examples]
        else:
            outputs = [e.target for e in examples]
        scores = task.score(examples, outputs)
        kept = {k: v for k, v in scores.metrics.items() if k != "gender_parity"}
        if name == "super_glue/cb" and len({e.target for e in examples}) < 3:
            continue  # a class that is absent has no F1
        assert kept == pytest.approx(dict.fromkeys(kept, 100.0)), name
        assert scores.invalid == 0
        assert scores.count == len(examples)
        assert scores.primary == pytest.approx(100)


@pytest.mark.parametrize("name", task_names())
def test_illegal_outputs_are_counted_and_never_right(name):
    task, examples, _ = sample(name, seed=1)
    bad = "nonsense" if task.labels else ""
    scores = task.score(examples, [bad] * len(examples))
    assert scores.invalid == 100
    kept = {k: v for k, v in scores.metrics.items() if k != "gender_parity"}
    if name == "super_glue/wsc":
        assert kept == {"accuracy": 0}
    else:
        assert all(v <= 0 for v in kept.values())
    mixed = [bad if i % 4 == 0 else e.target for i, e in enumerate(examples)]
    assert task.score(examples, mixed).invalid == 25


def test_primary_is_the_mean_of_two_metrics_or_the_selected_one():
    cb, examples, outputs = sample("super_glue/cb", 3)
    scores = cb.score(examples, outputs)
    assert set(scores.metrics) == {"mean_f1", "accuracy"}
    assert scores.primary == pytest.approx(sum(scores.metrics.values()) / 2)
    squad, examples, outputs = sample("squad", 3)
    scores = squad.score(examples, outputs)
    assert scores.primary == scores.metrics["f1"] != scores.metrics["em"]


def test_stsb_takes_any_number_but_counts_off_grid_text():
    task = get_task("glue/stsb")
    examples = [Example(str(i), "", t) for i, t in enumerate(["0.0", "2.0", "5.0"])]
    scores = task.score(examples, ["0.1", "2.1", "5.1"])
    assert scores.metrics["pearson"] == pytest.approx(100)
    assert task.score(examples, ["0.0", "two", "nan"]).invalid == pytest.approx(200 / 3)


def test_gender_parity_is_agreement_within_pairs():
    task = get_task("super_glue/axg")
    examples = [Example(str(i), "", "entailment", group=str(i // 2)) for i in range(4)]
    outputs = ["entailment", "entailment", "entailment", "not_entailment"]
    scores = task.score(examples, outputs)
    assert scores.metrics == {"accuracy": 75, "gender_parity": 50}
    assert scores.primary == 75


def test_unlabelled_and_empty_splits_cannot_be_scored():
    task = get_task("super_glue/rte")
    with pytest.raises(UserError, match="no labels"):
        task.score([Example("0", "", "<unk>")], ["entailment"])
    with pytest.raises(UserError, match="no examples"):
        task.score([], [])
    wsc = get_task("super_glue/wsc")
    with pytest.raises(UserError, match="no labels"):
        wsc.score([Example("0", "", "Tom", withheld=True)], ["Tom"])
    with pytest.raises(ValueError, match="1 examples but 2"):
        task.score([Example("0", "", "entailment")], ["entailment", "x"])


def test_averages():
    # The paper's Table 3: two-metric tasks averaged first, then eight tasks.
    ensemble = {
        "boolq": 91.7,
        "cb": 100.0,
        "copa": 100.0,
        "multirc": (67.1 + 89.4) / 2,
        "record": (93.2 + 93.9) / 2,
        "rte": 93.5,
        "wic": 77.4,
        "wsc": 96.2,
    }
    assert round(superglue_average(ensemble), 1) == 91.3
    full = {f"super_glue/{name}": score for name, score in ensemble.items()}
    assert superglue_average(full) == superglue_average(ensemble)
    assert superglue_average(full | {"glue/rte": 0.0}) == superglue_average(ensemble)
    with pytest.raises(UserError, match="lacks the score of wsc"):
        superglue_average({k: v for k, v in ensemble.items() if k != "wsc"})
    names = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte")
    assert glue_average({name: 10.0 * i for i, name in enumerate(names)}) == pytest.approx(35)
    with pytest.raises(UserError, match="GLUE average lacks"):
        glue_average({"cola": 1.0})


def test_constant_answers_on_the_official_dev_sets(shared_data):
    """Majority answers average 43.7; WSC alone, with any wrong text, gives the paper's 7.9."""
    constant = {
        "boolq": "True",
        "cb": "contradiction",
        "copa": "choice1",
        "multirc": "True",
        "rte": "entailment",
        "wic": "False",
        "wsc": "nothing of the kind",
    }
    scores = {"record": 0.0}
    for name, answer in constant.items():
        task = get_task(f"super_glue/{name}", data_dir=str(shared_data))
        examples = task.load("validation")
        scores[name] = task.score(examples, [answer] * len(examples)).primary
        if name == "wsc":
            assert task.score(examples, [""] * len(examples)).primary == 0
    assert round(superglue_average(scores), 1) == 43.7
    assert scores["wsc"] == pytest.approx(63.46, abs=0.005)
