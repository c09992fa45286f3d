"""The language: pure, clean English, with the words of the tasks but not their fields."""

import collections
import hashlib
import re

import pytest

from prompt_tuning.tasks.pocket import document, documents
from prompt_tuning.tasks.pocket.language import FORMS, form_of
from prompt_tuning.tasks.pocket.suite import TASKS
from prompt_tuning.tasks.pocket.text import a, dice, joined, listed, plural, third, words
from prompt_tuning.tasks.pocket.things import CATEGORIES, THINGS

GOLDEN = "9845a99a56e29fb044d937b78ddce059e5089f8c75282d659a45467a298af6cb"
COUNT = 10_000
LABELS = sorted({label for task in TASKS for label in task.labels})
FIELDS = words(
    "passage, question, hypothesis, premise, choice1, choice2, answer, paragraph, sentence1, "
    "sentence2, question1, question2, word, sentence, text, context"
)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(documents(seed=3, count=COUNT))


def test_documents_are_what_they_were():
    """A model is trained on them: whoever changes them changes VERSION and this."""
    text = "\n".join(documents(seed=0, count=2000))
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


def test_a_document_depends_on_its_numbers_alone(texts):
    assert [document(3, n) for n in (19, 7, 19)] == [texts[19], texts[7], texts[19]]
    assert list(documents(seed=3, count=5, start=40)) == texts[40:45]
    assert document(4, 19) != texts[19]
    assert document(2**64 - 1, 2**64 - 1)
    # Seed and index do not run into each other.
    assert document(0, 2**64 - 1) != document(1, 0)
    for numbers in ((-1, 0), (0, -1), (0, 2**64)):
        with pytest.raises(ValueError, match="lie in 0"):
            document(*numbers)


def test_documents_rarely_repeat(texts):
    assert len(set(texts)) > 0.985 * COUNT
    other = set(documents(seed=4, count=COUNT))
    assert len(other & set(texts)) < 0.03 * COUNT


def test_no_task_format_occurs(texts):
    field = re.compile(rf"\b({'|'.join(FIELDS)}): ", re.IGNORECASE)
    assert [text for text in texts if field.search(text)] == []
    inputs = {e.input for task in TASKS for split in task.splits for e in task.load(split)}
    assert not inputs & set(texts)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_a_word_of_the_language(texts, label):
    share = sum(re.search(rf"\b{label}\b", text, re.IGNORECASE) is not None for text in texts)
    assert share / COUNT > 0.01
    # In small letters as well, as the tasks want it.
    assert sum(re.search(rf"\b{label}\b", text) is not None for text in texts) / COUNT > 0.005


def test_labels_end_documents(texts):
    """What follows a prefix may be nothing but a label, as in the tasks."""
    ends = collections.Counter(text.rsplit(" ", 1)[-1] for text in texts)
    bare = [label for label in LABELS if ends[label] >= 5]
    assert len(bare) >= 0.7 * len(LABELS)


def test_the_language_asks_in_many_ways(texts):
    starts = collections.Counter(
        " ".join(question.split()[:2])
        for text in texts
        for question in re.findall(r"(?:^|[.:?] )([A-Z][^.:?]*\?)", text)
    )
    assert sum(count >= 10 for count in starts.values()) > 60


def test_texts_are_clean(texts):
    for text in texts:
        assert not re.search(r"[{}_\n]|  | [.,?:]|[.,?:]{2}|\.\w", text), text
        assert re.match(r"[A-Z1]", text), text
        # A sentence begins with a capital letter, but for answers of a few words.
        small = re.findall(r"[.?] ([a-z][^.?]*)", text)
        assert all(len(answer.split()) <= 4 for answer in small), text
        # No full stop at the end only where the last word is an answer by itself.
        assert text[-1] in ".?" or re.search(r"[?:.] (an? |the |in |on |by )?[A-Za-z ]+$", text)
        # Nothing doubled.
        assert not re.search(r"\b(\w+) \1\b", text, re.IGNORECASE) or "that that" in text, text


def test_articles_and_verbs_agree(texts):
    nouns = [thing.plural for thing in THINGS if thing.plural != thing.name]
    nouns += [c.plural for c in CATEGORIES if c.plural != c.name]
    many = re.compile(rf"\b(?:[Aa]n? |is an? )(?:{'|'.join(nouns)})\b")
    verbs = re.compile(
        rf"\b(?:{'|'.join(nouns)}) (?:is|has|does|needs|lives|lays|gives|feeds)\b"
        r"|\b(?:[Hh]e|[Ss]he|[Ii]t) (?:are|have|do|need|live|lay|give|feed|like|play)\b"
        r"|\b(?:[Tt]hey|I) (?:is|has|does|needs|lives|likes|plays)\b"
    )
    # In a question the verb stands before: "Do they have", "does she like".
    for text in texts:
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n (?!hour)[^aeiou]", text), text
        assert not many.search(text), text
        found = verbs.search(text)
        assert not found or re.search(r"\b(?:do|does|did)\b", text, re.IGNORECASE), text


def test_all_forms_are_drawn_and_share_out():
    drawn = collections.Counter()
    for index in range(4000):
        drawn[form_of(dice(9, index))] += 1
    total = sum(FORMS.values())
    for form, share in FORMS.items():
        assert drawn[form] / 4000 == pytest.approx(share / total, abs=0.02), form.__name__


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_each_form_has_variety(form):
    texts = {form(dice(5, index)) for index in range(300)}
    assert len(texts) > (40 if form.__name__ in ("recipe", "dictionary") else 150)


def test_lengths(texts):
    lengths = sorted(len(text.split()) for text in texts)
    assert 30 < sum(lengths) / COUNT < 60
    assert lengths[COUNT // 100] >= 5
    # Long texts occur too, so that far positions are learnt.
    assert lengths[-COUNT // 100] > 150


def test_words():
    assert [a("owl"), a("cat"), a("old cat")] == ["an owl", "a cat", "an old cat"]
    assert [plural(n) for n in ("fox", "lily", "potato", "wolf", "sheep", "day", "fish")] == [
        *("foxes", "lilies", "potatoes", "wolves", "sheep", "days", "fish")
    ]
    assert [third(v) for v in ("go", "carry", "play", "have", "wash", "live")] == [
        *("goes", "carries", "plays", "has", "washes", "lives")
    ]
    assert [listed("a"), listed("ab"), listed("abc", "or")] == ["a", "a and b", "a, b or c"]
    assert joined(["Yes or no? yes", "Ask:", "No?", "no"]) == "Yes or no? yes. Ask: No? no"
