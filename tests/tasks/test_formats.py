"""Text formats beyond T5's published cases: all tasks, the odd rows, and properties."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import formats, lengths
from prompt_tuning.tasks.base import Example, natural_key
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.glue import to_mrpc, to_qqp
from tests.tasks.conftest import task_with

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\ue000"), max_size=40)
QUICK = settings(max_examples=80, deadline=None)


NAMED = {
    "super_glue/boolq": (
        {"idx": 0, "passage": "P", "question": "Q", "label": "True"},
        "boolq passage: P question: Q",
        "True",
    ),
    "super_glue/cb": (
        {"idx": 0, "premise": "P", "hypothesis": "H", "label": "neutral"},
        "cb hypothesis: H premise: P",
        "neutral",
    ),
    "super_glue/copa": (
        {
            "idx": 0,
            "premise": "P",
            "choice1": "A",
            "choice2": "B",
            "question": "cause",
            "label": "choice2",
        },
        "copa choice1: A choice2: B premise: P question: cause",
        "choice2",
    ),
    "super_glue/multirc": (
        {
            "idx": {"paragraph": 1, "question": 2, "answer": 3},
            "paragraph": "<b>Sent 1: </b>P<br>R",
            "question": "Q",
            "answer": "A",
            "label": "False",
        },
        "multirc question: Q answer: A paragraph: Sent 1: P R",
        "False",
    ),
    "super_glue/record": (
        {
            "idx": {"passage": 1, "query": 2},
            "passage": "One.\n@highlight\nTwo\n@highlight\nThree?\n@highlight\nFour",
            "query": "Q @placeholder",
            "entities": ["A", "B"],
            "answers": ["B"],
        },
        "record query: Q @placeholder entities: A, B passage: One. Two. Three? Four",
        "B",
    ),
    "super_glue/rte": (
        {"idx": 0, "premise": "P", "hypothesis": "H", "label": "entailment"},
        "rte hypothesis: H premise: P",
        "entailment",
    ),
    "super_glue/wic": (
        {"idx": 0, "word": "W", "sentence1": "A", "sentence2": "B", "start1": 3, "label": "False"},
        "wic sentence1: A sentence2: B word: W",
        "False",
    ),
    "super_glue/wsc": (
        {
            "idx": 0,
            "text": "Tom fell , he cried .",
            "span1_text": "Tom",
            "span2_text": "he",
            "span2_index": 3,
            "label": "True",
        },
        "wsc: Tom fell , *he* cried .",
        "Tom",
    ),
    "super_glue/axb": (
        {"idx": 0, "sentence1": "A", "sentence2": "B", "label": "entailment"},
        "rte hypothesis: B premise: A",
        "entailment",
    ),
    "super_glue/axg": (
        {"idx": 5, "premise": "P", "hypothesis": "H", "label": "entailment"},
        "rte hypothesis: H premise: P",
        "entailment",
    ),
    "dpr": (
        {"sentence": "A saw B, he ran.", "pronoun": "he", "candidates": ["A", "B"], "label": "1"},
        "wsc: A saw B, *he* ran.",
        "B",
    ),
    "glue/cola": (
        {"idx": 0, "sentence": "S", "label": "acceptable"},
        "cola sentence: S",
        "acceptable",
    ),
    "glue/mnli": (
        {"idx": 0, "premise": "P", "hypothesis": "H", "label": "contradiction"},
        "mnli hypothesis: H premise: P",
        "contradiction",
    ),
    "glue/mnli_mismatched": (
        {"idx": 0, "premise": "P", "hypothesis": "H", "label": "neutral"},
        "mnli hypothesis: H premise: P",
        "neutral",
    ),
    "glue/qnli": (
        {"idx": 0, "question": "Q", "sentence": "S", "label": "entailment"},
        "qnli question: Q sentence: S",
        "entailment",
    ),
    "glue/qqp": (
        {"idx": 0, "question1": "A", "question2": "B", "label": "duplicate"},
        "qqp question1: A question2: B",
        "duplicate",
    ),
    "glue/stsb": (
        {"idx": 0, "sentence1": "A", "sentence2": "B", "label": 2.5},
        "stsb sentence1: A sentence2: B",
        "2.4",  # half to even
    ),
    "squad": (
        {"id": "x", "question": "Who?", "context": "J. Doe.", "answers": ["J. Doe", "Doe"]},
        "question: Who ? context: J . Doe . ",
        "J . Doe",
    ),
    "mrqa/bioasq": (
        {
            "id": "x",
            "question": "Who\tis\u00a0it?",
            "context": "Doe",
            "answers": ["doe"],
            "target": "Doe",
        },
        "question: Who is it ? context: Doe",
        "Doe",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_with_and_without_the_task_name(name):
    row, text, target = NAMED[name]
    [named] = task_with(name, row, name_in_text=True).load("validation")
    [bare] = task_with(name, row).load("validation")
    assert (named.input, named.target) == (text, target)
    # The released code cuts the first word; SQuAD's form has no name to cut.
    has_name = not text.startswith("question:")
    assert bare.input == (re.sub("^[^ ]* ", "", text) if has_name else text)
    assert bare.target == target


def test_record_names_its_entities_in_one_order():
    row = NAMED["super_glue/record"][0]
    texts = [
        task_with("super_glue/record", row | {"entities": order}).load("test")[0].input
        for order in (["A", "B"], ["B", "A"])
    ]
    assert texts[0] == texts[1]


def test_record_training_form():
    row = NAMED["super_glue/record"][0] | {"answers": ["A", "B"]}
    task = task_with("super_glue/record", row)
    assert [e.target for e in task.load("train")] == ["A", "B"]
    [example] = task.load("validation")
    assert example.answers == ("A", "B")
    [example] = task_with("super_glue/record", row | {"answers": []}).load("test")
    assert (example.target, example.answers) == ("<unk>", ())
    # Scored in the training form, a query counts once.
    examples = task.load("train")
    assert task.score(examples, ["B", "wrong"]).metrics == {"em": 100, "f1": 100}


@pytest.mark.parametrize("name", ["glue/mrpc_from_qqp", "glue/qqp_from_mrpc"])
def test_transfer_asks_in_one_set_and_answers_in_the_other(name):
    fields = {"sentence1": "A", "sentence2": "B", "question1": "A", "question2": "B"}
    own, other = ("equivalent", "duplicate")
    if name == "glue/qqp_from_mrpc":
        own, other = other, own
    rows = [fields | {"idx": i, "label": prefix + own} for i, prefix in enumerate(["", "not_"])]
    task = task_with(name, *rows)
    examples = task.load("validation")
    assert [e.target for e in examples] == [other, f"not_{other}"]
    assert task.labels == (f"not_{other}", other)
    # An answer in the words of either set counts (released code), anything else is invalid.
    for words in (own, other):
        scores = task.score(examples, [words, f"not_{words}"])
        assert scores.metrics == {"f1": 100, "accuracy": 100}
        assert scores.invalid == 0
    assert task.score(examples, ["similar", f"not_{other}"]).invalid == 50
    assert to_qqp(to_mrpc("not_duplicate")) == "not_duplicate"


@QUICK
@given(TEXT)
def test_padding_punctuation_separates_every_mark_and_keeps_the_words(text):
    padded = formats.pad_punctuation(text)
    assert formats.pad_punctuation(padded) == padded
    assert re.findall("[0-9A-Za-z_]+", padded) == re.findall("[0-9A-Za-z_]+", text)
    assert not re.search("[0-9A-Za-z_][^0-9A-Za-z_ ]|[^0-9A-Za-z_ ][0-9A-Za-z_]", padded)
    assert "  " not in padded
    assert formats.pad_punctuation("a café’s") == "a caf é ’ s"  # T5 0.9.1: letters are ASCII


@QUICK
@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["entailment", "not_entailment"]))))
def test_formats_are_a_function_of_each_row_alone(rows):
    task = get_task("super_glue/rte")
    rows = [
        {"idx": i, "premise": p, "hypothesis": h, "label": label}
        for i, (p, h, label) in enumerate(rows)
    ]
    together = [e for row in rows for e in task.format(row, True)]
    assert [e.input for e in together] == [
        f"hypothesis: {row['hypothesis']} premise: {row['premise']}" for row in rows
    ]
    if rows:
        forward = task_with("super_glue/rte", *rows).load("train")
        assert task_with("super_glue/rte", *reversed(rows)).load("train") == forward == together


@QUICK
@given(st.floats(0, 5))
def test_stsb_targets_are_the_nearest_fifth(score):
    row = {"idx": 0, "sentence1": "", "sentence2": "", "label": score}
    [example] = formats.stsb(row, True)
    assert example.target in get_task("glue/stsb").labels
    assert abs(float(example.target) - score) <= 0.1 + 1e-6


def test_marks_in_the_data_vanish():
    row = {"idx": 0, "premise": "P\ue000", "hypothesis": "\ue000H", "label": "entailment"}
    [example] = task_with("super_glue/rte", row).load("train")
    assert example.input == "hypothesis: H premise: P"


def test_defects_of_rows_are_one_line():
    good = NAMED["super_glue/rte"][0]
    lacking = {k: v for k, v in good.items() if k != "premise"}
    with pytest.raises(UserError, match=r"row 2: the field 'premise' is missing; the row has: idx"):
        task_with("super_glue/rte", good, lacking).load("train")
    with pytest.raises(UserError, match="row 1: the label 'maybe' is none of 'entailment'"):
        task_with("super_glue/rte", good | {"label": "maybe"}).load("train")
    row = NAMED["super_glue/wsc"][0] | {"label": "maybe"}
    with pytest.raises(UserError, match="row 1: the label 'maybe'"):
        task_with("super_glue/wsc", row).load("validation")
    with pytest.raises(UserError, match="the split train has no examples"):
        task_with("super_glue/rte").load("train")


def test_natural_order_of_ids():
    ids = ["10", "2", "1/10/0", "1/9/3", "b", "a"]
    assert sorted(ids, key=natural_key) == ["1/9/3", "1/10/0", "2", "10", "a", "b"]


def test_lengths():
    examples = [Example("0", "a b c", "x"), Example("1", "", "y z")]
    assert lengths(examples, str.split) == [(3, 1), (0, 2)]
