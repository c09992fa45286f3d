"""Reviews: opinions with negation and contrast, and the verdict that follows from them.

A clause judges one side of the thing ("the story was not dull"). What it says is good or bad from
its adjective and its negation. Where two clauses contrast, the verdict is that of the one which
carries the weight: after "but" and "still", and beside (not within) "although" and "even if".
"""

import dataclasses

from prompt_tuning.tasks.pocket.people import DAYS, TOWNS
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, capital

VERDICTS = ("bad", "good")

# Thing -> its sides, each with adjectives (bad, good).
SIDES: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "film": {
        "story": (("dull", "silly", "slow"), ("clever", "exciting", "funny")),
        "music": (("loud", "dull", "awful"), ("lovely", "fine", "soft")),
        "end": (("sad", "silly", "weak"), ("happy", "clever", "great")),
    },
    "book": {
        "story": (("dull", "silly", "slow"), ("clever", "exciting", "funny")),
        "style": (("dull", "poor", "weak"), ("fine", "clear", "lovely")),
        "end": (("sad", "silly", "weak"), ("happy", "clever", "great")),
    },
    "inn": {
        "room": (("dirty", "dark", "cold"), ("clean", "bright", "warm")),
        "bed": (("hard", "dirty", "old"), ("soft", "clean", "fine")),
        "host": (("rude", "slow", "unkind"), ("friendly", "kind", "polite")),
        "breakfast": (("cold", "poor", "late"), ("fresh", "warm", "great")),
    },
    "meal": {
        "soup": (("cold", "salty", "awful"), ("warm", "tasty", "fine")),
        "bread": (("old", "hard", "dry"), ("fresh", "soft", "warm")),
        "cake": (("dry", "old", "awful"), ("fresh", "tasty", "lovely")),
        "cook": (("rude", "slow", "unkind"), ("friendly", "kind", "clever")),
    },
    "concert": {
        "singer": (("weak", "poor", "awful"), ("great", "lovely", "fine")),
        "hall": (("cold", "dark", "dirty"), ("warm", "bright", "lovely")),
        "song": (("sad", "dull", "weak"), ("funny", "lovely", "happy")),
    },
    "journey": {
        "train": (("slow", "dirty", "late"), ("fast", "clean", "fine")),
        "weather": (("cold", "awful", "poor"), ("warm", "bright", "lovely")),
        "guide": (("rude", "unkind", "slow"), ("friendly", "polite", "funny")),
    },
}
ITEMS = tuple(SIDES)

# How a clause judges the side {s} by the adjective {x}: plainly, and with a negation.
_PLAIN = (
    "the {s} was {x}",
    "the {s} was really {x}",
    "the {s} seemed {x}",
    "I found the {s} {x}",
    "we thought the {s} {x}",
)
_DENIED = (
    "the {s} was not {x}",
    "the {s} was never {x}",
    "the {s} was far from {x}",
    "the {s} was anything but {x}",
    "I did not find the {s} {x}",
    "nobody could call the {s} {x}",
)
_NOT_ONLY = "the {s} was not only {x} but also {y}"

# Joins of two clauses, the weighty one as {w} and the other as {l} (capitals begin a sentence).
_CONTRASTS = (
    "{L}, but {w}.",
    "{L}. Still, {w}.",
    "{L}, yet {w}.",
    "{L}. Even so, {w}.",
    "Although {l}, {w}.",
    "{W}, although {l}.",
    "Even if {l}, {w}.",
    "{W}, even if {l}.",
    "It is true that {l}, but {w}.",
)
_AGREEMENTS = ("{W}, and {l}.", "{W}. And {l}.", "{W}. What is more, {l}.")
_OPENINGS = {
    "film": ("We saw this film on {d}.", "{n} and I saw this film in {t}."),
    "book": ("I read this book on {d}.", "{n} gave me this book."),
    "inn": ("We slept at this inn on {d}.", "This inn is in {t}."),
    "meal": ("We had this meal in {t}.", "{n} and I ate here on {d}."),
    "concert": ("We heard this concert in {t}.", "{n} took me to this concert on {d}."),
    "journey": ("We made this journey with {n}.", "This journey took us to {t}."),
}


@dataclasses.dataclass(frozen=True)
class Clause:
    """One judgement. `good` is what the adjective says, `denied` whether it is negated."""

    side: str
    adjective: str
    good: bool
    denied: bool

    @property
    def says(self) -> bool:
        return self.good != self.denied


@dataclasses.dataclass(frozen=True)
class Review:
    """`weighty` decides; `light`, if any, agrees or contrasts. `text` has no verdict word in it."""

    item: str
    weighty: Clause
    light: Clause | None
    text: str
    not_only: bool = False

    @property
    def good(self) -> bool:
        return self.weighty.says

    @property
    def contrast(self) -> bool:
        return self.light is not None and self.light.says != self.weighty.says

    @property
    def level(self) -> int:
        """1 plain, 2 with negation, 3 with contrast, 4 with both."""
        clauses = [clause for clause in (self.weighty, self.light) if clause]
        negation = self.not_only or any(clause.denied for clause in clauses)
        return 1 + negation + 2 * self.contrast

    @property
    def key(self) -> str:
        """The content: what is judged, how, and which clause has the weight."""
        clauses = [clause for clause in (self.weighty, self.light) if clause]
        return "/".join(f"{c.side} {c.denied} {c.adjective}" for c in clauses)


def _clause(dice: Dice, item: str, side: str, says: bool, denied: bool) -> Clause:
    good = says != denied
    return Clause(side, dice.pick(SIDES[item][side][good]), good, denied)


def _words(dice: Dice, clause: Clause) -> str:
    ways = _DENIED if clause.denied else _PLAIN
    return dice.pick(ways).format(s=clause.side, x=clause.adjective)


def opening(dice: Dice, item: str) -> str:
    """A sentence that says what is reviewed and judges nothing."""
    words = {"d": dice.pick(DAYS), "n": dice.pick(NAMES), "t": dice.pick(TOWNS)}
    return dice.pick(_OPENINGS[item]).format(**words)


def review(dice: Dice, good: bool, level: int) -> Review:
    """A review with this verdict and level (see `Review.level`)."""
    item = dice.pick(ITEMS)
    contrast, negation = level >= 3, level in (2, 4)
    one, two = dice.some(tuple(SIDES[item]), 2)
    if level == 2 and dice.chance(0.1):
        return _not_only(dice, item, one, good)
    # A negation stands in either clause or in both, so that "not" does not tell the verdict.
    denied = dice.pick(((True, False), (False, True), (True, True))) if negation else (False, False)
    if not contrast and dice.chance(0.3):
        clause = _clause(dice, item, one, good, negation)
        return Review(item, clause, None, f"{capital(_words(dice, clause))}.")
    weighty = _clause(dice, item, one, good, denied[0])
    light = _clause(dice, item, two, good != contrast, denied[1])
    w, l = _words(dice, weighty), _words(dice, light)
    join = dice.pick(_CONTRASTS if contrast else _AGREEMENTS)
    return Review(item, weighty, light, join.format(w=w, l=l, W=capital(w), L=capital(l)))


def _not_only(dice: Dice, item: str, side: str, good: bool) -> Review:
    """Negation and contrast in word only: "not only clever but also funny"."""
    x, y = dice.some(SIDES[item][side][good], 2)
    text = f"{capital(_NOT_ONLY.format(s=side, x=x, y=y))}."
    return Review(item, Clause(side, x, good, False), Clause(side, y, good, False), text, True)
