"""The pocket language: English-like documents about a small world, as many as one wants.

A document is a pure function of a seed and its index; nothing is stored. Facts about things, towns
and known people are the same in all documents, those about other people hold in one item. The forms
ask, judge, compare and answer in many ways, with the words that label the tasks of the suite, but
none of them has the fields of a task ("premise: ... hypothesis: ..."). Some documents are a row of
items of one form, and some a page of several, so that long texts occur too.
"""

from collections.abc import Callable, Iterator

from prompt_tuning.tasks.pocket.forms import causes, knowledge, meaning, opinions, reading
from prompt_tuning.tasks.pocket.text import Dice, dice, joined

# Whatever changes a document changes this, and with it what a model was trained on.
VERSION = 2

# Form -> its share of the documents, in parts of the sum.
FORMS: dict[Callable[[Dice], str], float] = {
    knowledge.thing: 3,
    knowledge.things_asked: 2,
    knowledge.kinds: 1,
    knowledge.odd_one_out: 1,
    knowledge.compared: 1,
    knowledge.town: 1,
    knowledge.towns_asked: 1,
    knowledge.known_person: 1,
    knowledge.moved: 1,
    reading.portrait: 1,
    reading.two_people: 1,
    reading.asked: 12,
    reading.answers: 4,
    reading.ranking: 1,
    reading.tale: 1,
    reading.letter: 1,
    reading.family: 1,
    reading.told_twice: 1,
    opinions.reviewed: 20,
    opinions.two_reviews: 1,
    opinions.reported: 8,
    opinions.digest: 1,
    causes.because: 6,
    causes.chain: 4,
    causes.chosen: 14,
    causes.recipe: 1,
    meaning.glossed: 6,
    meaning.dictionary: 1,
    meaning.senses_compared: 9,
    meaning.statements_compared: 6,
    meaning.questions_compared: 6,
    meaning.believed: 12,
    meaning.followed: 7,
}
# Forms that also come in rows of the same kind, as lists of examples do.
_IN_ROWS = (
    opinions.reviewed,
    opinions.reported,
    causes.chosen,
    meaning.senses_compared,
    meaning.statements_compared,
    meaning.questions_compared,
    meaning.believed,
    meaning.followed,
)


def _thresholds() -> list[tuple[float, Callable[[Dice], str]]]:
    total, reached, result = sum(FORMS.values()), 0.0, []
    for form, share in FORMS.items():
        reached += share / total
        result.append((reached, form))
    return result


_THRESHOLDS = _thresholds()


def form_of(roll: Dice) -> Callable[[Dice], str]:
    """The form that a document's dice choose first."""
    point = roll.random()
    for reached, form in _THRESHOLDS:
        if point < reached:
            return form
    return _THRESHOLDS[-1][1]


def document(seed: int, index: int) -> str:
    """The text of one document: the same for the same numbers, on every machine and Python."""
    roll = dice(seed, index)
    form, size = form_of(roll), roll.random()
    if form in _IN_ROWS and size < 0.3:
        items = [form(roll) for _ in range(2 + roll.below(3))]
        if roll.chance(0.3):
            items = [f"{number}. {item}" for number, item in enumerate(items, start=1)]
        return joined(items)
    if size < 0.15:
        return joined([form_of(roll)(roll) for _ in range(3 + roll.below(6))])
    return form(roll)


def documents(seed: int, count: int, start: int = 0) -> Iterator[str]:
    """The documents `start` .. `start + count - 1`, one by one."""
    for index in range(start, start + count):
        yield document(seed, index)
