"""Two ways to say or to ask the same, and two that only look alike.

Level 1: another wording of one fact. Level 2: opposites (taller and shorter, open and not closed).
Level 3: who gives and who gets, where the words stay and their order tells.
"""

import dataclasses

from prompt_tuning.tasks.pocket.beliefs import local_fact
from prompt_tuning.tasks.pocket.people import PERSONAL
from prompt_tuning.tasks.pocket.places import BUILDINGS, LOCAL
from prompt_tuning.tasks.pocket.relations import NAMES, Fact
from prompt_tuning.tasks.pocket.text import Dice, a, capital, sentence

COMPARED = (
    ("taller", "shorter"),
    ("older", "younger"),
    ("faster", "slower"),
    ("richer", "poorer"),
    ("stronger", "weaker"),
    ("happier", "sadder"),
)
STATES = (("open", "closed"), ("full", "empty"), ("clean", "dirty"), ("dry", "wet"))
GIFTS = ("book", "hat", "cup", "flute", "coat", "lamp", "rose", "basket", "map", "scarf")

_GIVEN = (
    "{a} gave {b} {x}",
    "{b} got {x} from {a}",
    "{a} gave {x} to {b}",
    "{b} was given {x} by {a}",
)
_GIVER_ASKED = ("Who gave {b} {x}?", "From whom did {b} get {x}?", "By whom was {b} given {x}?")
_GETTER_ASKED = ("Who got {x} from {b}?", "To whom did {b} give {x}?", "Whom did {b} give {x}?")


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two texts; `same` is whether they say (or ask) the same.

    `meanings` are those of both texts in a normal form: equal if and only if they say the same.
    """

    one: str
    two: str
    same: bool
    level: int
    meanings: tuple[str, str]

    @property
    def key(self) -> str:
        return " | ".join(sorted(self.meanings))


def statements(dice: Dice, same: bool, level: int) -> Pair:
    """Two statements."""
    return (_fact_statements, _opposite_statements, _gift_statements)[level - 1](dice, same)


def questions(dice: Dice, same: bool, level: int) -> Pair:
    """Two questions."""
    return (_fact_questions, _opposite_questions, _gift_questions)[level - 1](dice, same)


def changed(dice: Dice, fact: Fact) -> Fact:
    """The fact with another value or, as often, another subject."""
    if dice.chance(0.5):
        return dataclasses.replace(fact, value=dice.other(fact.relation.values, fact.value))
    subjects = NAMES if fact.relation in PERSONAL else BUILDINGS
    return dataclasses.replace(fact, subject=dice.other(subjects, fact.subject))


def _fact_statements(dice: Dice, same: bool) -> Pair:
    fact = local_fact(dice)
    other = fact if same else changed(dice, fact)
    ways = dice.some(range(len(fact.relation.tells)), 2)
    one, two = (sentence(f.claim(dice, way=w)) for f, w in zip((fact, other), ways, strict=True))
    return Pair(one, two, same, 1, ("/".join(fact.key), "/".join(other.key)))


def _fact_questions(dice: Dice, same: bool) -> Pair:
    fact = local_fact(dice)
    if same:
        other = fact
    elif dice.chance(0.5):
        subjects = NAMES if fact.relation in PERSONAL else BUILDINGS
        other = dataclasses.replace(fact, subject=dice.other(subjects, fact.subject))
    else:
        relations = PERSONAL if fact.relation in PERSONAL else LOCAL
        other = dataclasses.replace(fact, relation=dice.other(relations, fact.relation))
    one, two = fact.asked(dice), other.asked(dice)
    while one == two:
        two = other.asked(dice)
    meanings = (f"{fact.subject}/{fact.relation.name}?", f"{other.subject}/{other.relation.name}?")
    return Pair(one, two, same, 1, meanings)


def compare(a: str, b: str, pair: tuple[str, str], flipped: bool) -> tuple[str, str]:
    """A clause that says `a` is more (of pair[0]) than `b`, and its yes/no question."""
    if flipped:
        return f"{b} is {pair[1]} than {a}", f"Is {b} {pair[1]} than {a}?"
    return f"{a} is {pair[0]} than {b}", f"Is {a} {pair[0]} than {b}?"


def _opposites(dice: Dice, same: bool) -> tuple[list[tuple[str, str]], tuple[str, str]]:
    """Clause and question of both sides, and their meanings."""
    if dice.chance(0.6):
        pair = dice.pick(COMPARED)
        x, y = dice.some(NAMES, 2)
        flip, order = dice.chance(0.5), (x, y) if same else (y, x)
        # Two that agree differ in their adjective; two that do not, in that or in the names' order.
        other = not flip if same or dice.chance(0.6) else flip
        forms = [compare(x, y, pair, flip), compare(*order, pair, other)]
        return forms, (f"{x} {pair[0]} {y}", f"{order[0]} {pair[0]} {order[1]}")
    word, opposite = dice.mixed(dice.pick(STATES))
    place = dice.pick(BUILDINGS)
    plain = (f"{place} is {word}", f"Is {place} {word}?")
    # The second text affirms one of both words or denies the other, in agreement or not.
    affirmed, denied = (word, opposite) if same else (opposite, word)
    second = dice.pick(
        (
            (f"it is true that {place} is {affirmed}", f"Is it true that {place} is {affirmed}?"),
            (f"{place} is not {denied}", f"Is it false that {place} is {denied}?"),
        )
    )
    return dice.mixed((plain, second)), (f"{place} {word}", f"{place} {affirmed}")


def _opposite_statements(dice: Dice, same: bool) -> Pair:
    (one, two), meanings = _opposites(dice, same)
    return Pair(sentence(one[0]), sentence(two[0]), same, 2, meanings)


def _opposite_questions(dice: Dice, same: bool) -> Pair:
    (one, two), meanings = _opposites(dice, same)
    return Pair(one[1], two[1], same, 2, meanings)


def _gift_statements(dice: Dice, same: bool) -> Pair:
    giver, getter = dice.some(NAMES, 2)
    gift = a(dice.pick(GIFTS))
    ways = dice.some(_GIVEN, 2)
    second = (giver, getter) if same else (getter, giver)
    one = ways[0].format(a=giver, b=getter, x=gift)
    two = ways[1].format(a=second[0], b=second[1], x=gift)
    meanings = (f"{giver} > {gift} > {getter}", f"{second[0]} > {gift} > {second[1]}")
    return Pair(sentence(one), sentence(two), same, 3, meanings)


def _gift_questions(dice: Dice, same: bool) -> Pair:
    person, gift = dice.pick(NAMES), a(dice.pick(GIFTS))
    kinds = dice.mixed((_GIVER_ASKED, _GETTER_ASKED))
    if same:
        kinds = [kinds[0], kinds[0]]
        one, two = dice.some(kinds[0], 2)
    else:
        one, two = dice.pick(kinds[0]), dice.pick(kinds[1])
    names = ["? > {x} > {b}" if kind is _GIVER_ASKED else "{b} > {x} > ?" for kind in kinds]
    texts = [text.format(b=person, x=gift) for text in (one, two, *names)]
    return Pair(capital(texts[0]), capital(texts[1]), same, 3, (texts[2], texts[3]))
