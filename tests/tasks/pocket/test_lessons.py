"""Lessons: questions in the words of the language, with contents that no score depends on."""

import collections
import hashlib
import re

import pytest

from prompt_tuning.tasks.pocket import documents, lessons, suite
from prompt_tuning.tasks.pocket.lessons import content, lesson
from prompt_tuning.tasks.pocket.text import dice
from tests.tasks.pocket.test_language import FIELDS

GOLDEN = "2b55e971361a53e74f664367010cd619b3977bca1a75aac25bd81971a51df957"
COUNT = 6000
SOURCES = list(lessons._SOURCES.values())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [lesson(3, n) for n in range(COUNT)]


def test_lessons_are_what_they_were():
    """A model is trained on them: whoever changes them trains it again and changes this."""
    text = "\n".join(lesson(0, n) for n in range(2000))
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


def test_they_end_in_the_answers_of_the_tasks(texts):
    assert lesson(3, 7) == texts[7]
    assert lesson(4, 7) != texts[7]
    ends = collections.Counter(text.rsplit(" ", 1)[-1] for text in texts)
    answers = sum(ends[word] for word in {word for source in SOURCES for word in source.labels})
    assert 0.88 * COUNT < answers < 0.96 * COUNT  # the rest are documents


def test_some_stand_behind_a_document(texts):
    """As far from the beginning of the text as behind a long prompt."""
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[COUNT // 2] < 30
    assert lengths[-COUNT // 20] > 40


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_content_is_scored_elsewhere(source):
    seen = collections.Counter()
    for n in range(600):
        made, label = content(dice(3, n), source)
        assert {source.owner(key) for key in made.keys} == {"train"}
        seen[label] += 1
    assert set(seen) == set(source.labels)
    assert max(seen.values()) < 1.4 * min(seen.values())
    for split in ("train", "validation", "test"):
        keys = {key for row in source.rows(split) for key in row["keys"]}
        assert {source.owner(key) for key in keys} == {split}


def test_no_task_format_occurs(texts):
    field = re.compile(rf"\b({'|'.join(FIELDS)}): ", re.IGNORECASE)
    assert [text for text in texts if field.search(text)] == []
    inputs = {e.input for t in suite.TASKS for split in t.splits for e in t.load(split)}
    assert not inputs & set(texts)
    assert len(set(texts) & set(documents(seed=3, count=COUNT))) < 0.01 * COUNT
