"""Lessons: a text, what is asked of it in the words of the language, and a bare word that answers.

They are what the pocket models read last, about what they had not learnt from documents: verdicts
under negation, claims, what follows from what, and repeated questions. Their contents are those of
the suite's training splits, so nothing that is scored stands in them, and none has the fields of a
task. Some documents are among them; of these, too, only the last word is learnt.
"""

from typing import Any, cast

from prompt_tuning.tasks.pocket import frames, suite
from prompt_tuning.tasks.pocket.language import document
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.source import Made, PocketSource
from prompt_tuning.tasks.pocket.text import Dice, dice

# Task -> ways to ask, with the task's fields; {clause} is the hypothesis as one, {v} the answer.
_ASKED: dict[str, tuple[str, ...]] = {
    "cb": (
        "{premise} True, false or unknown? {hypothesis} {v}",
        "{premise} And is it so that {clause}? We can say: {v}",
        "{premise} What follows for this claim: {clause}? It is {v}",
        "True, false or unknown? {premise} {hypothesis} That is {v}",
    ),
    "rte": (
        "{premise} Certain or doubtful? {hypothesis} {v}",
        "{premise} Does it follow that {clause}? This is {v}",
        "If this is so, what else is? {premise} {hypothesis} That is {v}",
    ),
    "sst2": (
        "{sentence} Verdict: {v}",
        "{sentence} Good or bad? {v}",
        "{sentence} In short: {v}",
        "Is this review good or bad? {sentence} It is {v}",
        "{sentence} Would {n} say good or bad? {n} would say {v}",
    ),
    "qqp": (
        "{question1} {question2} New or repeated? {v}",
        "{n} asks: {question1} {m} asks: {question2} The question is {v}",
        "{question1} {question2} Is the second question new or repeated? It is {v}",
    ),
}
# Of these a lesson is drawn; None is a document. What is harder comes oftener.
_DRAWN = (*["cb"] * 4, *["sst2"] * 2, *["rte"] * 2, "qqp", None, None)
_TASKS = {"cb": suite.CB, "rte": suite.RTE, "sst2": suite.SST2, "qqp": suite.QQP}


def lesson(seed: int, index: int) -> str:
    """One lesson: the same text for the same numbers, on every machine and Python."""
    roll = dice(seed, index)
    name = roll.pick(_DRAWN)
    if name is None:
        return document(seed, roll.below(2**48)).removesuffix(".")
    made, answer = content(roll, cast(PocketSource, _TASKS[name].source))
    fields: dict[str, Any] = dict(made.fields)
    if "hypothesis" in fields:
        fields["clause"] = frames.clause(fields["hypothesis"])
    n, m = roll.some(NAMES, 2)
    return roll.pick(_ASKED[name]).format(**fields, n=n, m=m, v=answer)


def content(roll: Dice, source: PocketSource) -> tuple[Made, str]:
    """A content of the task's training split, and its label; levels and labels are even."""
    level, label = roll.pick(source.levels), roll.pick(source.labels)
    while True:
        made = source.make(roll, label, level)
        if all(source.owner(key) == "train" for key in made.keys):
            return made, label
