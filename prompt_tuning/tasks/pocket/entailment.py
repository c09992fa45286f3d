"""Whether one sentence makes another certain: kinds, negation, quantifiers, places, comparison.

Level 1: kinds of things, and words left out or put in. Level 2: the same under "no", "all" and
"some", "and" and "or", and opposites. Level 3: what one must know (towns, traits), and chains.
"""

import dataclasses
from collections.abc import Callable

from prompt_tuning.tasks.pocket.atlas import ATLAS, REGION, REGIONS
from prompt_tuning.tasks.pocket.paraphrase import COMPARED, compare
from prompt_tuning.tasks.pocket.people import DAYS, HOME, TOWNS
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, a, sentence
from prompt_tuning.tasks.pocket.things import (
    ANIMAL,
    CATEGORIES,
    OBJECT,
    PLANT,
    TELLING,
    THINGS,
    Thing,
)

ACTS = (("saw", "see"), ("found", "find"), ("wanted", "want"), ("drew", "draw"))
QUALITIES = ("small", "large", "old", "lovely", "strange", "famous")
PLACES = ("in the park", "in the garden", "at the harbour", "near the river", "by the lake")
MOODS = ("old", "white", "small", "for sale", "from the south")


@dataclasses.dataclass(frozen=True)
class Inference:
    """`certain`: whether the premise makes the hypothesis certain. `key` names what is known.

    logic: the kind of step and the terms of premise and hypothesis, for computing it again.
    """

    premise: str
    hypothesis: str
    certain: bool
    level: int
    key: str
    logic: dict


def inference(dice: Dice, certain: bool, level: int) -> Inference:
    kinds: tuple[tuple[Callable[[Dice, bool], tuple], ...], ...] = (
        (_kind, _kind, _details),
        (_denied, _quantified, _joined, _opposite),
        (_region, _trait, _chain),
    )
    premise, hypothesis, key, logic = dice.pick(kinds[level - 1])(dice, certain)
    return Inference(sentence(premise), sentence(hypothesis), certain, level, key, logic)


def wider(dice: Dice, thing: Thing) -> str:
    """A category that the thing is in."""
    return dice.pick([c.name for c in thing.category.line if c.name != "food"])


def elsewhere(dice: Dice, thing: Thing) -> str:
    """A category that the thing is not in."""
    names = [c.name for c in (*CATEGORIES, ANIMAL, PLANT, OBJECT) if c not in thing.category.line]
    return dice.pick(names)


def _kind(dice: Dice, certain: bool) -> tuple:
    """A sparrow is a bird; a bird need not be a sparrow."""
    thing, person, act = dice.pick(THINGS), dice.pick(NAMES), dice.pick(ACTS)[0]
    place = dice.pick(PLACES)
    if certain:
        low, high = thing.name, wider(dice, thing)
    elif dice.chance(0.7):
        low, high = thing.name, elsewhere(dice, thing)
    else:
        low, high = wider(dice, thing), thing.name
    premise = f"{person} {act} {a(low)} {place}"
    hypothesis = f"{person} {act} {a(high)}"
    return premise, hypothesis, thing.name, {"step": "kind", "terms": (low, high)}


def _details(dice: Dice, certain: bool) -> tuple:
    """What is left out stays certain; what is put in or changed does not."""
    thing, person, act = dice.pick(THINGS), dice.pick(NAMES), dice.pick(ACTS)[0]
    quality, place, day = dice.pick(QUALITIES), dice.pick(PLACES), f"on {dice.pick(DAYS)}"
    full = (f"{a(f'{quality} {thing.name}')}", place, day)
    shorter = ((thing.one, "", ""), (full[0], "", ""), (thing.one, place, ""), (full[0], place, ""))
    kept = dice.pick(shorter)
    if certain:
        given, asked = full, kept
    elif dice.chance(0.5):
        given, asked = kept, full
    else:
        other = a(f"{dice.other(QUALITIES, quality)} {thing.name}")
        given, asked = full, (other, *kept[1:])
    texts = [" ".join(filter(None, (person, act, *words))) for words in (given, asked)]
    return texts[0], texts[1], thing.name, {"step": "details", "terms": (given, asked)}


def _denied(dice: Dice, certain: bool) -> tuple:
    """No bird, hence no sparrow; but no sparrow leaves birds open."""
    thing, person, (act, base) = dice.pick(THINGS), dice.pick(NAMES), dice.pick(ACTS)
    line = (thing.name, *(c.name for c in thing.category.line if c.name != "food"))
    low, high = sorted(dice.some(range(len(line)), 2))
    if certain:
        terms = (line[high], line[low])
    elif dice.chance(0.4):
        terms = (line[low], line[high])
    else:
        terms = (elsewhere(dice, thing), line[low])
    ways = dice.some((f"{act} no {{x}}", f"did not {base} any {{x}}", f"did not {base} {{a}}"), 2)
    texts = [f"{person} {w.format(x=x, a=a(x))}" for w, x in zip(ways, terms, strict=True)]
    return texts[0], texts[1], thing.name, {"step": "denied", "terms": terms}


def _quantified(dice: Dice, certain: bool) -> tuple:
    """All birds, hence all sparrows; some sparrows, hence some birds."""
    thing = dice.pick(THINGS)
    category = thing.category
    word = dice.pick(("all", "some", "no", "some"))
    place, mood = dice.pick(PLACES), dice.pick(MOODS)
    pair = (category.plural, thing.plural)
    downward = word != "some"
    low_last = downward == certain
    terms = pair if low_last else pair[::-1]
    texts = [f"{word} {x} {place} are {mood}" for x in terms]
    return texts[0], texts[1], thing.name, {"step": word, "terms": terms}


def _joined(dice: Dice, certain: bool) -> tuple:
    """One of two is certain after "and", not after "or"."""
    one, two = dice.some(THINGS, 2)
    person, act = dice.pick(NAMES), dice.pick(ACTS)[0]
    word = "and" if certain else "or"
    asked = dice.pick((one, two)).one
    if dice.chance(0.5):
        # The same word, with the question about both: certain either way round only for "and".
        premise = f"{person} {act} {asked}"
        hypothesis = f"{person} {act} {one.one} {'or' if certain else 'and'} {two.one}"
        logic = {"step": "into", "terms": (hypothesis.split()[4], certain)}
    else:
        premise = f"{person} {act} {one.one} {word} {two.one}"
        hypothesis = f"{person} {act} {asked}"
        logic = {"step": "out", "terms": (word, certain)}
    return premise, hypothesis, "+".join(sorted((one.name, two.name))), logic


def _opposite(dice: Dice, certain: bool) -> tuple:
    """Taller one way is shorter the other way."""
    x, y = dice.some(NAMES, 2)
    pair, flip = dice.pick(COMPARED), dice.chance(0.5)
    premise = compare(x, y, pair, flip)[0]
    order = (x, y) if certain else (y, x)
    other = not flip if certain or dice.chance(0.6) else flip
    hypothesis = compare(*order, pair, other)[0]
    return premise, hypothesis, f"{pair[0]} {x} {y}", {"step": "opposite", "terms": ((x, y), order)}


def _region(dice: Dice, certain: bool) -> tuple:
    """Who lives in a town lives where the town is."""
    town, person = dice.pick(TOWNS), dice.pick(NAMES)
    region = ATLAS[town][REGION].value
    if not certain:
        region = dice.other(REGIONS, region)
    ways = dice.some(HOME.claims, 2)
    texts = [w[0].format(a=person, v=v) for w, v in zip(ways, (town, region), strict=True)]
    return texts[0], texts[1], town, {"step": "region", "terms": (town, region)}


def _trait(dice: Dice, certain: bool) -> tuple:
    """What a thing has by its kind, or in spite of it."""
    thing, person, act = dice.pick(THINGS), dice.pick(NAMES), dice.pick(ACTS)[0]
    # Both answers ask for the traits of some thing, so that no trait tells the answer.
    owner = thing if certain else dice.pick(THINGS)
    traits = [t for t in owner.traits if t in TELLING and (t in thing.traits) == certain]
    if not traits:
        return _trait(dice, certain)
    trait = dice.pick(traits)
    hypothesis = f"what {person} {act} {trait.says()}"
    return (
        f"{person} {act} {thing.one}",
        hypothesis,
        thing.name,
        {
            "step": "trait",
            "terms": (thing.name, trait.says()),
        },
    )


def _chain(dice: Dice, certain: bool) -> tuple:
    """Taller than one who is taller."""
    x, y, z = dice.some(NAMES, 3)
    pair = dice.pick(COMPARED)
    links = dice.mixed((compare(x, y, pair, dice.chance(0.5)), compare(y, z, pair, False)))
    premise = f"{links[0][0]}, and {links[1][0]}"
    order = (x, z) if certain else (z, x)
    hypothesis = compare(*order, pair, dice.chance(0.5))[0]
    return (
        premise,
        hypothesis,
        f"{pair[0]} {x} {y} {z}",
        {"step": "chain", "terms": ((x, y, z), order)},
    )
