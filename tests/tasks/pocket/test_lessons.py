"""Lessons: questions in the words of the language, with contents that no score depends on."""

import collections
import hashlib
import re

import pytest

from prompt_tuning.tasks.pocket import documents, lessons, suite
from prompt_tuning.tasks.pocket.lessons import (
    content,
    far_lesson,
    first_lesson,
    lesson,
    plain_lesson,
)
from prompt_tuning.tasks.pocket.text import dice
from tests.tasks.pocket.test_language import FIELDS

GOLDEN = {
    first_lesson: "28764f87f7a5f79d9a3c6f2d9857189f54fea83502f4a0bc65ccba5573b7c828",
    plain_lesson: "19c4254a80e336c3b02fa6b68d0171b844337e3f664e57722c13b1944351a85d",
    lesson: "67f42b59909284eedf57b65c20999fb7647ce99ca6ca5e3e1395c588c492afdc",
    far_lesson: "763e45e651743767d6681c8c4826996e661d365dc2bed3160b00a6eb6cbef969",
}
COUNT = 6000
SOURCES = list(lessons._SOURCES.values())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [lesson(3, n) for n in range(COUNT)]


@pytest.mark.parametrize("made", GOLDEN, ids=lambda made: made.__name__)
def test_lessons_are_what_they_were(made):
    """A model is trained on them: whoever changes them trains it again and changes this."""
    text = "\n".join(made(0, n) for n in range(2000))
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN[made]


def test_they_end_in_the_answers_of_the_tasks(texts):
    assert lesson(3, 7) == texts[7]
    assert lesson(4, 7) != texts[7]
    ends = collections.Counter(text.rsplit(" ", 1)[-1] for text in texts)
    answers = sum(ends[word] for word in {word for source in SOURCES for word in source.labels})
    assert 0.94 * COUNT < answers < 0.99 * COUNT  # the rest are documents
    first = collections.Counter(first_lesson(3, n).rsplit(" ", 1)[-1] for n in range(COUNT))
    pairs = (("same", "different"), ("yes", "no"), ("true", "false"), ("agree", "differ"))
    assert set(first) == {word for pair in pairs for word in pair}
    for one, other in pairs:
        assert first[one] == pytest.approx(first[other], rel=0.15)


def test_what_stands_in_front():
    """As far from the beginning of the text as behind a long prompt."""
    count = 2000
    kinds = (plain_lesson, lesson, far_lesson)
    lengths = [sorted(len(made(3, n).split()) for n in range(count)) for made in kinds]
    assert max(one[count // 2] for one in lengths[:2]) < 40 < lengths[2][count // 2]
    longest = [one[-count // 20] for one in lengths]
    assert longest == sorted(longest)
    assert longest[0] > 40
    assert longest[-1] > 110


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_content_is_scored_elsewhere(source):
    seen = collections.Counter()
    for n in range(600):
        made, label = content(dice(3, n), source, source.levels)
        assert {source.owner(key) for key in made.keys} == {"train"}
        seen[label] += 1
    assert set(seen) == set(source.labels or ("true", "false"))
    assert max(seen.values()) < 1.4 * min(seen.values())
    for split in ("train", "validation", "test"):
        keys = {key for row in source.rows(split) for key in row["keys"]}
        assert {source.owner(key) for key in keys} == {split}


@pytest.mark.parametrize("made", GOLDEN, ids=lambda made: made.__name__)
def test_no_task_format_occurs(made):
    texts = [made(3, n) for n in range(COUNT)]
    field = re.compile(rf"\b({'|'.join(FIELDS)}): ", re.IGNORECASE)
    assert [text for text in texts if field.search(text)] == []
    inputs = {e.input for t in suite.TASKS for split in t.splits for e in t.load(split)}
    assert not inputs & set(texts)
    assert len(set(texts) & set(documents(seed=3, count=COUNT))) < 0.01 * COUNT
