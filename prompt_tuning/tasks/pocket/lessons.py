"""Lessons: a text, what is asked of it in the words of the language, and a bare word that answers.

They are what the pocket models read last, about what they had not learnt from documents: verdicts
under negation, claims, what follows from what, and whether two texts match. Their contents are
those of the suite's training splits, so nothing that is scored stands in them, and none has the
fields of a task. Some documents are among them; of these, too, only the last word is learnt.
"""

from typing import Any, cast

from prompt_tuning.tasks.pocket import frames, suite
from prompt_tuning.tasks.pocket.language import document
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.source import Made, PocketSource
from prompt_tuning.tasks.pocket.text import Dice, dice

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
}
# How often each is drawn; what is harder comes oftener. The rest are documents.
_SHARES = {"boolq": 5, "cb": 3, "rte": 2, "wic": 2, "sst2": 2, "mrpc": 3, "qqp": 3}
_DRAWN = (*(name for name, share in _SHARES.items() for _ in range(share)), None, None)
_SOURCES = {name: cast(PocketSource, getattr(suite, name.upper()).source) for name in _SHARES}
# Where two texts are to be matched: nothing harder is learnt before the easy cases are.
_EASY_FIRST = ("boolq", "rte", "mrpc", "qqp")
_BEHIND = 0.1  # of them stand after a document: as far from the beginning as behind a long prompt


def lesson(seed: int, index: int) -> str:
    """One lesson: the same text for the same numbers, on every machine and Python."""
    roll = dice(seed, index)
    name = roll.pick(_DRAWN)
    if name is None:
        return document(seed, roll.below(2**48)).removesuffix(".")
    made, answer = content(roll, _SOURCES[name])
    fields: dict[str, Any] = dict(made.fields)
    if "hypothesis" in fields:
        fields["clause"] = frames.clause(fields["hypothesis"])
    n, m = roll.some(NAMES, 2)
    text = f"{roll.pick(_ASKED[name]).format(**fields, n=n, m=m)} {answer}"
    return f"{document(seed, roll.below(2**48))} {text}" if roll.chance(_BEHIND) else text


def content(roll: Dice, source: PocketSource) -> tuple[Made, str]:
    """A content of the task's training split, and its label; labels are even."""
    easy = source.name in _EASY_FIRST and roll.chance(0.6)
    level, label = source.levels[0] if easy else roll.pick(source.levels), roll.pick(source.labels)
    while True:
        made = source.make(roll, label, level)
        if all(source.owner(key) == "train" for key in made.keys):
            return made, label
