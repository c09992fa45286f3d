"""Documents about what always holds: things and kinds, towns, known people."""

from prompt_tuning.tasks.pocket import frames
from prompt_tuning.tasks.pocket.atlas import ATLAS, CIVIC, MASTERS, REGION, REGIONS
from prompt_tuning.tasks.pocket.people import HOME, TOWNS
from prompt_tuning.tasks.pocket.relations import NAMES, Fact
from prompt_tuning.tasks.pocket.text import Dice, a, capital, joined, listed, sentence
from prompt_tuning.tasks.pocket.things import CATEGORIES, MEMBERS, THINGS, Thing

_KNOWN = tuple(MASTERS)
_NEAR = {r: tuple(t for t in TOWNS if ATLAS[t][REGION].value == r) for r in REGIONS}


def thing(dice: Dice) -> str:
    """A description: kind, looks, home, a few traits; sometimes with a question."""
    it = dice.pick(THINGS)
    kind, home = it.category, it.category.home.says().format(v=it.place)
    common = dice.pick([t for t in it.traits if t not in it.extra])
    second = dice.other(it.traits, common).says()
    share = "most" if any(common in other.lacks for other in MEMBERS[kind]) else "all"
    parts = [
        dice.pick(
            (
                f"The {it.name} is a {it.size} {it.colour} {kind.name}.",
                f"{capital(it.one)} is {a(kind.name)}. It is {it.size} and {it.colour}.",
                f"What is {it.one}? It is a {it.size} {kind.name}, and it is {it.colour}.",
            )
        ),
        dice.pick(
            (
                f"It {home}. It {common.says()} and {second}.",
                f"It {second}. It {home} and {common.says()}.",
                f"Like {share} {kind.plural}, it {common.says()}. It {home}.",
                f"It {common.says()}, as {share} {kind.plural} do. It {home}."
                if common.base not in ("be", "can")
                else f"It {home}. It {common.says()}, for it is {a(kind.name)}.",
            )
        ),
    ]
    if dice.chance(0.6):
        parts.append(_about(dice, it))
    return joined(parts)


def _about(dice: Dice, it: Thing) -> str:
    """A question or a claim about a thing, with its answer."""
    kind, verdict, home = dice.below(5), dice.chance(0.5), it.category.home
    if kind == 0:
        question, full = f"What colour is the {it.name}?", f"the {it.name} is {it.colour}"
        return frames.answered(dice, question, it.colour, full)
    if kind == 1:
        question = f"Where is the {it.name} found?"
        if home.base != "be":
            question = f"Where does the {it.name} {home.base}?"
        full = f"the {it.name} {home.says().format(v=it.place)}"
        return frames.answered(dice, question, it.place, full)
    if kind == 2:
        category = it.category if verdict else dice.other(CATEGORIES, it.category)
        claim = f"{it.one} is {a(category.name)}"
        question = f"Is {it.one} {a(category.name)}?"
        truth = f"{it.one} is {a(it.category.name)}"
    else:
        trait, many = dice.pick(it.traits if verdict else it.others), dice.chance(0.5)
        name = it.plural if many else it.one
        claim = f"{name} {trait.says(many)}"
        question = f"{capital(trait.asks(name, many))}?"
        truth = f"{name} {trait.says(many, negated=True)}"
    if dice.chance(0.5):
        return frames.judged(dice, claim, verdict)
    return frames.confirmed(dice, question, verdict, claim, truth)


def things_asked(dice: Dice) -> str:
    """A quiz of two or three questions about things."""
    return joined([_about(dice, dice.pick(THINGS)) for _ in range(2 + dice.below(2))])


def kinds(dice: Dice) -> str:
    """A category: what it is, what its members have, who they are, and the odd one out."""
    kind = dice.pick(CATEGORIES)
    members = dice.some(MEMBERS[kind], 3)
    parent = kind.parent
    assert parent is not None
    trait = dice.pick((*kind.traits, *parent.traits))
    normal = [m for m in members if trait not in m.lacks]
    strange = [m for m in MEMBERS[kind] if trait in m.lacks]
    names = listed([m.name for m in members])
    texts = [
        dice.pick(
            (
                f"The {names} are {kind.plural}.",
                f"{capital(kind.plural)} are, for example, {listed([m.plural for m in members])}.",
                f"What have the {names} in common? They are {kind.plural}.",
            )
        )
    ]
    if parent.name != "food":
        texts.append(f"{capital(kind.plural)} are {parent.plural}.")
    if strange:
        odd = dice.pick(strange)
        texts.append(
            f"Most {kind.plural} {trait.says(many=True)}, but the {odd.name} "
            f"{trait.says(negated=True)}."
        )
    elif normal:
        texts.append(f"All {kind.plural} {trait.says(many=True)}.")
        one = dice.pick(normal)
        texts.append(
            dice.pick(
                (
                    f"The {one.name} is {a(kind.name)}, so it {trait.says()}.",
                    f"So the {one.name} {trait.says()}.",
                    f"Why does one say that the {one.name} {trait.says()}? "
                    f"Because it is {a(kind.name)}.",
                )
            )
        )
    return " ".join(texts)


def odd_one_out(dice: Dice) -> str:
    """Three of a kind and one of another."""
    kind, other = dice.some(CATEGORIES, 2)
    stranger = dice.pick(MEMBERS[other])
    items = dice.mixed([*dice.some(MEMBERS[kind], 3), stranger])
    names = listed([item.name for item in items])
    return dice.pick(
        (
            f"{capital(names)}: which one is of another kind? The {stranger.name}. It is "
            f"{a(other.name)}, the others are {kind.plural}.",
            f"Of {names}, only the {stranger.name} is not {a(kind.name)}.",
            f"Which of these is different: {listed([i.name for i in items], 'or')}? "
            f"The {stranger.name} is different. The others are the same kind of thing.",
        )
    )


def compared(dice: Dice) -> str:
    """Two things: what they share and what not."""
    one = dice.pick(THINGS)
    same = dice.chance(0.5)
    two = dice.other(MEMBERS[one.category] if same else THINGS, one)
    texts = [f"Compare the {one.name} and the {two.name}."] if dice.chance(0.3) else []
    if one.category is two.category:
        texts.append(
            dice.pick(
                (
                    f"Both the {one.name} and the {two.name} are {one.category.plural}.",
                    f"The {one.name} is {a(one.category.name)}, and so is the {two.name}.",
                    f"Are the {one.name} and the {two.name} of the same kind? "
                    f"Yes, they are {one.category.plural}.",
                )
            )
        )
    else:
        texts.append(
            dice.pick(
                (
                    f"The {one.name} is {a(one.category.name)}, but the {two.name} is "
                    f"{a(two.category.name)}.",
                    f"Are the {one.name} and the {two.name} of the same kind? No, they are "
                    f"different. One is {a(one.category.name)}, the other {a(two.category.name)}.",
                )
            )
        )
    both = [t for t in one.traits if t in two.traits]
    only = [t for t in one.traits if t in two.others]
    if both and dice.chance(0.5):
        texts.append(f"Both {dice.pick(both).says(many=True)}.")
    if only:
        trait = dice.pick(only)
        texts.append(
            dice.pick(
                (
                    f"The {one.name} {trait.says()}, while the {two.name} "
                    f"{trait.says(negated=True)}.",
                    f"Unlike the {two.name}, the {one.name} {trait.says()}.",
                    f"Which of them {trait.says()}? The {one.name}.",
                )
            )
        )
    if one.colour == two.colour:
        texts.append(f"They have the same colour, {one.colour}.")
    return " ".join(texts)


def town(dice: Dice) -> str:
    """A town of the atlas, with its facts and sometimes a question."""
    name = dice.pick(TOWNS)
    facts = [ATLAS[name][r] for r in dice.mixed(CIVIC)]
    first = sentence(facts[0].claim(dice))
    texts = [first if dice.chance(0.5) else f"{name} is a town. {first}"]
    texts += [fact.told(dice) for fact in facts[1 : 2 + dice.below(2)]]
    if dice.chance(0.4):
        other = dice.other(_NEAR[ATLAS[name][REGION].value], name)
        texts.append(
            dice.pick(
                (
                    f"{other} is in {ATLAS[name][REGION].value} too.",
                    f"{name} and {other} lie in the same part of the land, "
                    f"in {ATLAS[name][REGION].value}.",
                )
            )
        )
    return " ".join(texts)


def _fixed_question(dice: Dice, fact: Fact) -> str:
    kind, verdict = dice.below(3), dice.chance(0.5)
    if kind == 0:
        return frames.answered(dice, fact.asked(dice), fact.short, fact.claim(dice))
    way = dice.below(len(fact.relation.tells))
    asked = fact
    if not verdict:
        value = dice.other(fact.relation.values, fact.value)
        asked = Fact(fact.subject, fact.relation, value)
    if kind == 1:
        return frames.judged(dice, asked.claim(dice, way=way), verdict)
    truth = fact.claim(dice)
    claim = asked.claim(dice, way=way)
    return frames.confirmed(dice, asked.checked(dice, way), verdict, claim, truth)


def towns_asked(dice: Dice) -> str:
    """A quiz about towns and known people."""
    facts = []
    for _ in range(2 + dice.below(2)):
        if dice.chance(0.6):
            facts.append(ATLAS[dice.pick(TOWNS)][dice.pick(CIVIC)])
        else:
            known = MASTERS[dice.pick(_KNOWN)]
            facts.append(dice.pick(tuple(known.values())))
    return joined([_fixed_question(dice, fact) for fact in facts])


def known_person(dice: Dice) -> str:
    """A known person, the town and where the town lies."""
    name = dice.pick(_KNOWN)
    facts = list(MASTERS[name].values())
    texts = [fact.told(dice, pronoun=i > 0) for i, fact in enumerate(dice.mixed(facts))]
    home = MASTERS[name][HOME].value
    region = ATLAS[home][REGION].value
    if dice.chance(0.6):
        texts.append(
            dice.pick(
                (
                    f"So {name} lives in {region}.",
                    f"{home} lies in {region}, so that is where {name} lives.",
                    f"In which part of the land does {name} live? In {region}.",
                )
            )
        )
    return " ".join(texts)


def moved(dice: Dice) -> str:
    """Somebody lives in a town, hence in its part of the land: two steps, one of them known."""
    person, place = dice.pick(NAMES), dice.pick(TOWNS)
    region = ATLAS[place][REGION].value
    text = Fact(person, HOME, place).told(dice)
    verdict = dice.chance(0.5)
    asked = region if verdict else dice.other(REGIONS, region)
    kind = dice.below(3)
    if kind == 0:
        question = f"In which part of the land does {person} live?"
        full = f"{person} lives in {region}"
        return f"{text} {frames.answered(dice, question, f'in {region}', full)}"
    if kind == 1:
        return f"{text} {frames.concluded(dice, f'{person} lives in {asked}', verdict)}"
    claim, truth = f"{person} lives in {asked}", f"{person} lives in {region}"
    question = f"Does {person} live in {asked}?"
    return f"{text} {frames.confirmed(dice, question, verdict, claim, truth)}"
