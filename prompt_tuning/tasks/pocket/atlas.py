"""Towns and known people: facts that are the same in every document, without a rule in them."""

from prompt_tuning.tasks.pocket.people import GOODS, HOME, JOB, LIKES, TOWNS
from prompt_tuning.tasks.pocket.relations import Fact, Relation
from prompt_tuning.tasks.pocket.text import Verb

REGIONS = ("the north", "the south", "the east", "the west")
RIVERS = ("Tamble", "Wend", "Isk", "Orrin", "Lude")

REGION = Relation(
    "region",
    REGIONS,
    (("{a}", Verb("be", "in {v}")), ("{a}", Verb("lie", "in {v}"))),
    ("Where is {a}?", "In which part of the land is {a}?", "Where does {a} lie?"),
    ("where {a} is", "in which part of the land {a} lies"),
    "in {v}",
)
RIVER = Relation(
    "river",
    RIVERS,
    (("{a}", Verb("stand", "on the {v}")), ("{a}'s river", Verb("be", "the {v}"))),
    ("On which river does {a} stand?", "On which river is {a}?"),
    ("on which river {a} stands",),
    "on the {v}",
)
MAKES = Relation(
    "makes",
    GOODS,
    (("{a}", Verb("be", "known for its {v}")), ("{a}", Verb("sell", "{v}"))),
    ("What is {a} known for?", "What does {a} sell?"),
    ("what {a} sells", "what {a} is known for"),
)
CIVIC = (REGION, RIVER, MAKES)


def _atlas() -> dict[str, dict[Relation, Fact]]:
    """The facts of each town, without a rule from which one could be told from the others."""
    table = "023 130 205 311 042 124 236 347 010 101 222 333 044 115 206 317 033 142 227 300"
    return {
        town: {
            relation: Fact(town, relation, relation.values[int(digit)])
            for relation, digit in zip(CIVIC, digits, strict=True)
        }
        for town, digits in zip(TOWNS, table.split(), strict=True)
    }


ATLAS = _atlas()


# People whom every document knows.
_KNOWN = """
    Clara Quill, Marden, a painter, pears
    Felix Brand, Holm, a sailor, onions
    Ida Thorn, Selby, a doctor, bread
    Jacob Vane, Arlen, a tailor, cherries
    Maria Holt, Wenlock, a baker, fish
    Oscar Marsh, Kelby, a teacher, lemons
    Lena Wick, Garth, a miller, apples
    David Falk, Orton, a nurse, plums
    Nora Ross, Bardon, a cook, carrots
    Henry Hale, Ulford, a farmer, pears
    Berta Dunn, Inver, a sailor, apples
    Simon Pike, Farrow, a painter, potatoes
    Julia Reed, Calder, a nurse, onions
    Leo Stark, Penmoor, a doctor, cherries
    Hanna Voss, Tarring, a teacher, bread
    Emil Nash, Dorwick, a miller, lemons
"""


def _masters() -> dict[str, dict[Relation, Fact]]:
    """Full name -> home, job, what they like."""
    facts: dict[str, dict[Relation, Fact]] = {}
    for line in _KNOWN.strip().splitlines():
        name, *values = line.strip().split(", ")
        pairs = zip((HOME, JOB, LIKES), values, strict=True)
        facts[name] = {relation: Fact(name, relation, value) for relation, value in pairs}
    return facts


MASTERS = _masters()
