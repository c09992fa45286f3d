"""Seeded draws, and the little English grammar that every sentence is made with."""

import dataclasses
import functools
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice(random.Random):
    """Draws made of `random()` alone, which Python keeps the same from version to version."""

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def below(self, n: int) -> int:
        """An integer of 0 .. n - 1."""
        return int(self.random() * n)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items in random order."""
        left = list(items)
        return [left.pop(int(self.random() * len(left))) for _ in range(count)]

    def other(self, items: Sequence[T], *than: T) -> T:
        """An item that is none of `than`."""
        while True:
            item = items[int(self.random() * len(items))]
            if item not in than:
                return item

    def mixed(self, items: Sequence[T]) -> list[T]:
        """All items in random order."""
        return self.some(items, len(items))

    def sized(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """An item, drawn by weight; the weights sum to 1."""
        point = self.random()
        for item, weight in zip(items, weights, strict=True):
            point -= weight
            if point < 0:
                return item
        return items[-1]


def dice(*numbers: int) -> Dice:
    """Dice of their own for every tuple of numbers (each below 2 ** 64)."""
    seed = 0
    for number in numbers:
        if not 0 <= number < 2**64:
            raise ValueError(f"seeds and indices lie in 0 .. 2 ** 64 - 1, not {number}")
        seed = (seed << 64) + number
    return Dice(seed)


def words(text: str) -> tuple[str, ...]:
    """What commas separate."""
    return tuple(text.split(", "))


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def joined(parts: Sequence[str]) -> str:
    """Parts of a document in a row; one that ends in a bare word gets a full stop, but the last."""
    ended = [part if part[-1] in ".?:" else f"{part}." for part in parts[:-1]]
    return " ".join((*ended, parts[-1]))


def a(noun: str) -> str:
    """A noun (or adjective and noun) with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


NUMBERS = words("no, one, two, three, four, five, six, seven, eight, nine, ten")

_IRREGULAR = {
    **{"fish": "fish", "sheep": "sheep", "trout": "trout", "salmon": "salmon"},
    **{"herring": "herring", "carp": "carp", "scarf": "scarves"},
    **{"mouse": "mice", "goose": "geese", "person": "people", "man": "men", "woman": "women"},
    **{"wolf": "wolves", "loaf": "loaves", "leaf": "leaves"},
}


def plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    if noun.endswith(("s", "x", "ch", "sh", "ato")):
        return f"{noun}es"
    return f"{noun}s"


def third(verb: str) -> str:
    """The third person singular of a regular verb, of "have" and of "go"."""
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "x", "ch", "sh", "o")) else f"{verb}s"


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb phrase in the present tense: a base form ("be", "can", "have", "live") and the rest.

    `rest` may hold `{v}`, which the caller fills.
    """

    base: str
    rest: str

    @functools.cached_property
    def _forms(self) -> dict[tuple[bool, bool], str]:
        """(plural, negated) -> predicate."""
        forms = {}
        for many in (False, True):
            if self.base == "be":
                yes, no = ("are", "are not") if many else ("is", "is not")
            elif self.base == "can":
                yes, no = "can", "cannot"
            else:
                yes = self.base if many else third(self.base)
                no = f"do not {self.base}" if many else f"does not {self.base}"
            forms[many, False] = f"{yes} {self.rest}"
            forms[many, True] = f"{no} {self.rest}"
        return forms

    @functools.cached_property
    def _questions(self) -> dict[bool, tuple[str, str]]:
        """plural -> what stands before and after the subject of a question."""
        if self.base == "be":
            return {False: ("is", self.rest), True: ("are", self.rest)}
        if self.base == "can":
            return {False: ("can", self.rest), True: ("can", self.rest)}
        after = f"{self.base} {self.rest}"
        return {False: ("does", after), True: ("do", after)}

    def says(self, many: bool = False, negated: bool = False) -> str:
        """The predicate: "lives in {v}", "do not live in {v}"."""
        return self._forms[many, negated]

    def asks(self, subject: str, many: bool = False) -> str:
        """The yes/no question without its mark: "does Anna live in {v}"."""
        before, after = self._questions[many]
        return f"{before} {subject} {after}"
