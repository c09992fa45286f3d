"""Lessons: a text, what is asked of it in the words of the language, and a bare word that answers.

They are what the pocket models read last, about what they had not learnt from documents: verdicts
under negation, claims, what follows from what, and whether two texts match. Their contents are
those of the suite's training splits, so nothing that is scored stands in them, and none has the
fields of a task. They come in rounds. Whether two words are the same is learnt where little else
is asked (`first_lesson`), and not where every skill comes at once; then come all that a model of
the family learns at all, at last with other words in front (`lesson`), and at the larger sizes
without these before (`plain_lesson`). Some documents are among them; of these, too, only the last
word is learnt.
"""

import dataclasses
import functools
import re
from typing import Any, cast

from prompt_tuning.tasks.pocket import frames, suite
from prompt_tuning.tasks.pocket.language import document
from prompt_tuning.tasks.pocket.people import PERSONAL
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.source import Made, PocketSource
from prompt_tuning.tasks.pocket.text import Dice, dice, listed

# Task -> ways to ask, with the task's fields; {clause} is the hypothesis as one.
_ASKED: dict[str, tuple[str, ...]] = {
    "boolq": (
        "{passage} {question}",
        "{passage} Yes or no? {question}",
        "{passage} {n} asks: {question} The answer is",
        "Answer yes or no. {passage} {question}",
    ),
    "cb": (
        "{premise} True, false or unknown? {hypothesis}",
        "{premise} And is it so that {clause}? We can say:",
        "{premise} What follows for this claim: {clause}? It is",
        "True, false or unknown? {premise} {hypothesis} That is",
    ),
    "rte": (
        "{premise} Certain or doubtful? {hypothesis}",
        "{premise} Does it follow that {clause}? This is",
        "If this is so, what else is? {premise} {hypothesis} That is",
    ),
    "wic": (
        "{sentence1} {sentence2} Same or different? {word}:",
        "{sentence1} {sentence2} Is the meaning of {word} the same or different? It is",
        "Look at the word {word}. {sentence1} {sentence2} Same meaning or different meaning?",
    ),
    "sst2": (
        "{sentence} Verdict:",
        "{sentence} Good or bad?",
        "{sentence} In short:",
        "Is this review good or bad? {sentence} It is",
        "{sentence} Would {n} say good or bad? {n} would say",
    ),
    "mrpc": (
        "{sentence1} {sentence2} Agree or differ?",
        "{n} says: {sentence1} {m} says: {sentence2} Do they agree or differ? They",
        "Do the two sentences agree or differ? {sentence1} {sentence2} They",
    ),
    "qqp": (
        "{question1} {question2} New or repeated?",
        "{n} asks: {question1} {m} asks: {question2} The question is",
        "{question1} {question2} Is the second question new or repeated? It is",
    ),
    "multirc": (
        "{paragraph} {question} {answer}, true or false?",
        "{paragraph} True or false? {question} {answer}:",
        "{paragraph} {n} asks: {question} {m} says: {answer}. That is",
        "Is the answer true or false? {paragraph} {question} {answer}. It is",
    ),
    "topic": (
        "{text} Topic:",
        "{text} This is about",
        "{n} reads: {text} The topic is",
        "What is this about? {text} It is about",
    ),
    "copa": (
        "{premise} What is the {question}? The first: {choice1} The second: {choice2} It is the",
        "{premise} One of two is its {question}. {choice1} {choice2} The first or the second?",
        "{choice1} {choice2} Which is the {question} of this, the first or the second? {premise}",
        "{premise} {n} says: {choice1} {m} says: {choice2} Who names the {question}? The",
    ),
}
# How often a task is drawn for a lesson, and its levels: without those that no size had learnt.
_PARTS = {
    "boolq": (4, (1,)),
    "cb": (3, (1, 2, 3)),
    "rte": (2, (1, 2)),
    "wic": (3, (1, 2)),
    "sst2": (2, (1, 2, 3, 4)),
    "mrpc": (4, (1, 1, 2, 3)),
    "qqp": (3, (1, 2, 3)),
    "multirc": (2, (1,)),
    "topic": (2, (1, 2, 3)),
    "copa": (2, (1, 2)),
}
_DRAWN = (*(name for name, (count, _) in _PARTS.items() for _ in range(count)), None)
_SOURCES = {name: cast(PocketSource, getattr(suite, name.upper()).source) for name in _PARTS}
# Of them, so many stand behind a document, and so many behind words in no order, as the rows that a
# long prompt starts from. Without the latter a model may lose what it knows behind 20 of them.
_BEHIND_DOCUMENT, _BEHIND_WORDS, _MOST_WORDS = 0.1, 0.3, 80
_FAR_BEHIND_WORDS, _MOST_FAR = 0.7, 110
_FAR_DRAWN = (*_DRAWN, "wic", "wic", "wic", "sst2")  # what is lost soonest behind words

# The first round: two words, a word and a list, and the tasks that are about no more than these.
_FIRST = ("words", "list", "list", "multirc", "multirc", "boolq", "mrpc")
_VALUES = tuple(dict.fromkeys((*NAMES, *(v for relation in PERSONAL for v in relation.values))))
_SAME = ("{x}, {y}: same or different?", "Same or different? {x} and {y}:", "{x} or {y}? They are")
_LISTED = (
    "{list}. Is {x} one of them?",
    "Yes or no: is {x} one of {list}?",
    "{n} has a list: {list}. {m} asks: {x}? The answer is",
)


def first_lesson(seed: int, index: int) -> str:
    """One lesson about nothing but what two texts have in common; the same for the same numbers."""
    roll = dice(seed, index)
    name = roll.pick(_FIRST)
    if name == "words":
        x, other = roll.some(_VALUES, 2)
        answer = roll.pick(("different", "same"))
        fields = {"x": x, "y": x if answer == "same" else other}
        return f"{roll.pick(_SAME).format(**fields)} {answer}"
    if name == "list":
        items, answer = roll.some(_VALUES, 2 + roll.below(4)), roll.pick(("no", "yes"))
        x = roll.pick(items[:-1]) if answer == "yes" else items[-1]
        n, m = roll.some(NAMES, 2)
        text = roll.pick(_LISTED).format(list=listed(items[:-1]), x=x, n=n, m=m)
        return f"{text} {answer}"
    return _asked(roll, name, _SOURCES[name].levels[:1])


def plain_lesson(seed: int, index: int) -> str:
    """One lesson with nothing or a document in front; the same text for the same numbers."""
    roll = dice(seed, index)
    return _lesson(roll, seed)[0]


def lesson(seed: int, index: int) -> str:
    """One lesson: the same text for the same numbers, on every machine and Python."""
    roll = dice(seed, index)
    text, alone = _lesson(roll, seed)
    if alone and roll.chance(_BEHIND_WORDS):
        words = " ".join(document(seed, roll.below(2**48)) for _ in range(3)).split()
        return f"{' '.join(roll.mixed(words)[: 1 + roll.below(_MOST_WORDS)])} {text}"
    return text


def far_lesson(seed: int, index: int) -> str:
    """One lesson, often behind many words, rare ones as often as common ones."""
    roll = dice(seed, index)
    text, alone = _lesson(roll, seed, _FAR_DRAWN)
    if alone and roll.chance(_FAR_BEHIND_WORDS):
        return " ".join([*(roll.pick(_words()) for _ in range(1 + roll.below(_MOST_FAR))), text])
    return text


@functools.cache
def _words() -> tuple[str, ...]:
    texts = " ".join(document(0, n) for n in range(3000))
    return tuple(sorted(set(re.findall(r"[A-Za-z]+", texts))))


def _lesson(roll: Dice, seed: int, drawn: tuple[str | None, ...] = _DRAWN) -> tuple[str, bool]:
    """A lesson, and whether it may have words in front."""
    name = roll.pick(drawn)
    if name is None:
        return document(seed, roll.below(2**48)).removesuffix("."), False
    text = _asked(roll, name, _PARTS[name][1])
    if roll.chance(_BEHIND_DOCUMENT):
        return f"{document(seed, roll.below(2**48))} {text}", False
    return text, True


def _asked(roll: Dice, name: str, levels: tuple[int, ...]) -> str:
    made, answer = content(roll, _SOURCES[name], levels)
    fields: dict[str, Any] = dict(made.fields)
    if "hypothesis" in fields:
        fields["clause"] = frames.clause(fields["hypothesis"])
    n, m = roll.some(NAMES, 2)
    return f"{roll.pick(_ASKED[name]).format(**fields, n=n, m=m)} {answer}"


def content(roll: Dice, source: PocketSource, levels: tuple[int, ...]) -> tuple[Made, str]:
    """A content of the task's training split, and its label; labels are even.

    Of a row with several answers, one, as the field "answer".
    """
    level, label = roll.pick(levels), roll.pick(source.labels or ("",))
    while True:
        made = source.make(roll, label, level)
        if all(source.owner(key) == "train" for key in made.keys):
            break
    if label:
        return made, label
    answer, label = roll.pick(made.fields["answers"])
    return dataclasses.replace(made, fields={**made.fields, "answer": answer}), label
