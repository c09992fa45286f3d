"""Relations and facts, and the many ways to tell them and to ask for them.

A relation joins a subject and a value ("Anna", "Arlen") and knows several ways to state it, to ask
for the value, and to ask whether it holds. Passages, questions, paraphrases and statements about
belief are all made of these.
"""

import dataclasses
import functools

from prompt_tuning.tasks.pocket.text import Dice, Verb, capital, words

WOMEN = words("Anna, Berta, Clara, Dora, Eva, Greta, Hanna, Ida, Julia, Lena, Maria, Nora")
MEN = words("Adam, Bruno, David, Emil, Felix, Henry, Jacob, Leo, Martin, Oscar, Peter, Simon")
NAMES = WOMEN + MEN


@functools.cache
def pronouns(subject: str) -> tuple[str, str, str] | None:
    """Subject, possessive and object form, by the first word: a woman, a man, or "the mill"."""
    first = subject.split()[0]
    if first in WOMEN:
        return ("she", "her", "her")
    if first in MEN:
        return ("he", "his", "him")
    return ("it", "its", "it") if first == "the" else None


@dataclasses.dataclass(frozen=True, eq=False)
class Relation:
    """What can be true of a subject `{a}` and a value `{v}`.

    tells: a subject ("{a}", "{a}'s pet") and its verb phrase. asks: questions for the value.
    wonders: the same as a clause ("where {a} lives"). short: the answer in few words.
    """

    name: str
    values: tuple[str, ...]
    tells: tuple[tuple[str, Verb], ...]
    asks: tuple[str, ...]
    wonders: tuple[str, ...]
    short: str = "{v}"

    @functools.cached_property
    def claims(self) -> tuple[tuple[str, str], ...]:
        """(affirmed, denied) clause for each way to tell."""
        return tuple(
            (f"{subject} {verb.says()}", f"{subject} {verb.says(negated=True)}")
            for subject, verb in self.tells
        )

    def ways_for(self, subject: str) -> tuple[int, ...]:
        """The ways to tell that suit a subject: no owner's owner ("Anna's cousin's pet")."""
        return self._plain_ways if "'s" in subject else tuple(range(len(self.tells)))

    def asks_for(self, subject: str) -> tuple[str, ...]:
        return self._plain_asks if "'s" in subject else self.asks

    @functools.cached_property
    def _plain_ways(self) -> tuple[int, ...]:
        return tuple(i for i, (subject, _) in enumerate(self.tells) if subject == "{a}")

    @functools.cached_property
    def _plain_asks(self) -> tuple[str, ...]:
        return tuple(ask for ask in self.asks if "{a}'s" not in ask)

    @functools.cached_property
    def checks(self) -> tuple[str, ...]:
        """A yes/no question for each way to tell."""
        return tuple(f"{capital(verb.asks(subject))}?" for subject, verb in self.tells)


@dataclasses.dataclass(frozen=True)
class Fact:
    """One relation that holds."""

    subject: str
    relation: Relation
    value: str

    def claim(self, dice: Dice, denied: bool = False, way: int | None = None) -> str:
        """A clause, such as "Anna lives in Arlen"."""
        ways = self.relation.claims
        pair = dice.pick(ways) if way is None else ways[way]
        return pair[denied].format(a=self.subject, v=self.value)

    def told(self, dice: Dice, pronoun: bool = False) -> str:
        """A sentence; with a pronoun for the subject if wanted and there is one."""
        text = dice.pick(self.relation.claims)[0]
        short = pronouns(self.subject) if pronoun else None
        if short:
            text = text.replace("{a}'s", short[1]).format(a=short[0], v=self.value)
        else:
            text = text.format(a=self.subject, v=self.value)
        return f"{capital(text)}."

    def asked(self, dice: Dice) -> str:
        """A question for the value."""
        return capital(dice.pick(self.relation.asks_for(self.subject)).format(a=self.subject))

    def wondered(self, dice: Dice) -> str:
        return dice.pick(self.relation.wonders).format(a=self.subject)

    def checked(self, dice: Dice, way: int | None = None) -> str:
        """A yes/no question whether the fact holds."""
        ways = self.relation.checks
        return capital(
            (dice.pick(ways) if way is None else ways[way]).format(a=self.subject, v=self.value)
        )

    @property
    def short(self) -> str:
        return self.relation.short.format(v=self.value)

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.subject, self.relation.name, self.value)
