"""The ways in which documents ask, answer and judge, whatever it is about.

Every frame takes finished questions and clauses and gives text. Some begin with what is wanted,
some end in a bare word, some are talk between two people: the same knowledge called up in many
ways. None looks like a task's fields.
"""

from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, capital, sentence

_ANSWERS = (
    "{Q} {S}.",
    "{Q} {F}.",
    "{Q} {F}.",
    "{Q} The answer is {s}.",
    "{Q} In a few words: {s}",
    "{n}: {Q} {m}: {S}.",
    "{n}: {Q} {m}: {F}.",
    "{n} asked {m}: {Q} {m} said: {F}.",
    "{n} asks: {Q} {S}, {m} answers.",
    "Give a short answer. {Q} {S}.",
    "Say it in a few words. {Q} {s}",
    "Tell me, {n}. {Q} {F}.",
    "{Q} I know it: {s}.",
)
_YES = (
    "{Q} Yes.",
    "{Q} Yes.",
    "{Q} Yes, {c}.",
    "{Q} Yes, that is true.",
    "{Q} The answer is yes.",
    "{Q} In short: yes",
    "{n}: {Q} {m}: Yes.",
    "{n}: {Q} {m}: Yes, {c}.",
    "{n} asked {m}: {Q} {m} said yes.",
    "Answer yes or no. {Q} Yes.",
    "Yes or no? {Q} yes",
    "Say yes or no. {Q} {n} says yes.",
    "Is it true that {c}? Yes.",
)
_NO = (
    "{Q} No.",
    "{Q} No.",
    "{Q} No, {d}.",
    "{Q} No, that is false.",
    "{Q} The answer is no.",
    "{Q} In short: no",
    "{n}: {Q} {m}: No.",
    "{n}: {Q} {m}: No, {d}.",
    "{n} asked {m}: {Q} {m} said no.",
    "Answer yes or no. {Q} No.",
    "Yes or no? {Q} no",
    "Say yes or no. {Q} {n} says no.",
    "Is it true that {c}? No.",
)
_JUDGED = (
    "True or false? {C}. {V}.",
    "True or false? {C}. {v}",
    "{C}. That is {v}.",
    "{C}. Is that true or false? It is {v}.",
    "{n} says that {c}. That is {v}.",
    "It is {v} that {c}.",
    "Say whether it is true or false. {C}. {V}.",
    "{n}: {C}. {m}: That is {v}.",
    "{C}: {v}",
    "Is it true that {c}, or is it false? It is {v}.",
)
_OPEN = (
    "{C}. That is unknown.",
    "True, false or unknown? {C}. Unknown.",
    "It is unknown whether {c}.",
    "{C}. True, false or unknown? unknown",
    "{n} asks whether {c}. Nobody knows. It is unknown.",
    "Do we know that {c}? No, it is unknown.",
    "{C}: unknown",
)
_CLOSED = (
    "True, false or unknown? {C}. {V}.",
    "{C}. True, false or unknown? {v}",
    "{n} asks whether {c}. It is {v}.",
    "Do we know that {c}? Yes, we know that it is {v}.",
)
_CERTAIN = (
    "So {c}.",
    "Hence {c}.",
    "So it is certain that {c}.",
    "Is it certain or doubtful that {c}? Certain.",
    "It follows that {c}. This is certain.",
    "{n} says that {c}. That is certain.",
    "Does it follow that {c}? Yes, that is certain.",
    "Certain or doubtful? {C}. certain",
    "From this premise it follows that {c}.",
    "Given this premise, the hypothesis that {c} is certain.",
    "{C}: certain",
)
_DOUBTFUL = (
    "This does not mean that {c}.",
    "But perhaps it is not so that {c}.",
    "So it is doubtful whether {c}.",
    "Is it certain or doubtful that {c}? Doubtful.",
    "It does not follow that {c}. This is doubtful.",
    "{n} says that {c}. That is doubtful.",
    "Does it follow that {c}? No, that is doubtful.",
    "Certain or doubtful? {C}. doubtful",
    "From this premise it does not follow that {c}.",
    "Given this premise, the hypothesis that {c} is doubtful.",
    "{C}: doubtful",
)


def _fill(dice: Dice, frames: tuple[str, ...], **texts: str) -> str:
    n, m = dice.some(NAMES, 2)
    return dice.pick(frames).format(n=n, m=m, **texts)


def answered(dice: Dice, question: str, short: str, full: str) -> str:
    """A question for a value, with its answer in short and as a clause."""
    texts = {"Q": question, "s": short, "S": capital(short), "F": capital(full)}
    return _fill(dice, _ANSWERS, **texts)


def confirmed(dice: Dice, question: str, verdict: bool, claim: str, truth: str) -> str:
    """A yes/no question. claim: what it asks for; truth: what is so instead, if it is not."""
    return _fill(dice, _YES if verdict else _NO, Q=question, c=claim, d=truth)


def judged(dice: Dice, claim: str, verdict: bool | None) -> str:
    """A claim that is true, false or (None) unknown."""
    if verdict is None:
        return _fill(dice, _OPEN, c=claim, C=capital(claim))
    word = "true" if verdict else "false"
    frames = _CLOSED if dice.chance(0.3) else _JUDGED
    return _fill(dice, frames, c=claim, C=capital(claim), v=word, V=capital(word))


def concluded(dice: Dice, claim: str, certain: bool) -> str:
    """What follows, or does not."""
    return _fill(dice, _CERTAIN if certain else _DOUBTFUL, c=claim, C=capital(claim))


def clause(text: str) -> str:
    """A sentence as a clause: no full stop, and a small letter unless it begins with a name."""
    text = text.removesuffix(".")
    first = text.split(" ", 1)[0].removesuffix("'s")
    return text if first in NAMES else text[0].lower() + text[1:]


def sentences(*clauses: str) -> str:
    return " ".join(sentence(c) for c in clauses)
