"""Lessons: questions in the words of the language, with contents that no score depends on."""

import collections
import hashlib
import re

import pytest

from prompt_tuning.tasks.pocket import documents, suite
from prompt_tuning.tasks.pocket.lessons import content, lesson
from prompt_tuning.tasks.pocket.text import dice
from tests.tasks.pocket.test_language import FIELDS

GOLDEN = "cff01a8004229bcbc4f07c0f0a2685fad377cd6f7c56b9812f10e426f4d527e0"
COUNT = 6000
SOURCES = [task.source for task in (suite.CB, suite.RTE, suite.SST2, suite.QQP)]


@pytest.fixture(scope="module")
def lessons() -> list[str]:
    return [lesson(3, n) for n in range(COUNT)]


def test_lessons_are_what_they_were():
    """A model is trained on them: whoever changes them trains it again and changes this."""
    text = "\n".join(lesson(0, n) for n in range(2000))
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


def test_they_end_in_the_answers_of_the_tasks_alike(lessons):
    assert lesson(3, 7) == lessons[7]
    assert lesson(4, 7) != lessons[7]
    ends = collections.Counter(text.rsplit(" ", 1)[-1] for text in lessons)
    for source in SOURCES:
        counts = [ends[label] for label in source.labels]
        assert max(counts) < 1.4 * min(counts)
    answers = sum(ends[label] for source in SOURCES for label in source.labels)
    assert 0.8 * COUNT < answers < 0.95 * COUNT  # the rest are documents


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_content_is_scored_elsewhere(source):
    seen = collections.Counter()
    for n in range(600):
        made, label = content(dice(3, n), source)
        assert {source.owner(key) for key in made.keys} == {"train"}
        seen[label] += 1
    assert set(seen) == set(source.labels)
    for split in ("train", "validation", "test"):
        keys = {key for row in source.rows(split) for key in row["keys"]}
        assert {source.owner(key) for key in keys} == {split}


def test_no_task_format_occurs(lessons):
    field = re.compile(rf"\b({'|'.join(FIELDS)}): ", re.IGNORECASE)
    assert [text for text in lessons if field.search(text)] == []
    inputs = {e.input for t in suite.TASKS for split in t.splits for e in t.load(split)}
    assert not inputs & set(lessons)
    assert len(set(lessons) & set(documents(seed=3, count=COUNT))) < 0.01 * COUNT
