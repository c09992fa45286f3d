"""Documents with facts of their own: portraits, stories, letters, and questions about them."""

from prompt_tuning.tasks.pocket import frames, reading, stories
from prompt_tuning.tasks.pocket.paraphrase import COMPARED, compare
from prompt_tuning.tasks.pocket.people import DAYS, KIN, PERSONAL, TOWNS
from prompt_tuning.tasks.pocket.places import BUILDINGS, LOCAL
from prompt_tuning.tasks.pocket.relations import NAMES, Fact, pronouns
from prompt_tuning.tasks.pocket.text import Dice, capital, joined, listed, sentence

_LEVELS = ((1, 2, 3), (0.4, 0.35, 0.25))
_DOMAINS = (("people", "buildings", "stories"), (0.5, 0.2, 0.3))
_HEADS = (
    "Read this passage and answer.",
    "Here is a short text with a question.",
    "Read the paragraph and find the answer.",
    "The answer stands in the context.",
    "What can we learn from this passage?",
)


# Relation -> what one says of two people if they differ in it, and if they agree.
_SHARED = {
    "home": ("They live in different towns.", "They live in the same town."),
    "job": ("They have different jobs.", "They have the same job."),
    "travel": ("They travel in different ways.", "They travel the same way."),
    "market": ("They do not meet at the market.", "They meet at the market."),
}


def portrait(dice: Dice) -> str:
    """One person or building, told in three or four facts."""
    if dice.chance(0.7):
        name, relations = dice.pick(NAMES), dice.some(PERSONAL, 3 + dice.below(2))
    else:
        name, relations = dice.pick(BUILDINGS), dice.some(LOCAL, 3)
    facts = [Fact(name, relation, dice.pick(relation.values)) for relation in relations]
    return reading.told(dice, facts)


def two_people(dice: Dice) -> str:
    """Two people side by side, what they share and what not."""
    one, two = dice.some(NAMES, 2)
    facts, last = [], ""
    for relation in dice.some(PERSONAL, 2):
        value = dice.pick(relation.values)
        other = value if dice.chance(0.4) else dice.other(relation.values, value)
        facts += [Fact(one, relation, value), Fact(two, relation, other)]
        same = value == other
        if relation.name in _SHARED and not last:
            last = _SHARED[relation.name][same]
    return joined([reading.told(dice, facts), *([last] if last else [])])


def asked(dice: Dice) -> str:
    """A passage and one or two questions: for a value, or whether something holds."""
    item = reading.asked(dice, dice.sized(*_LEVELS), dice.sized(*_DOMAINS))
    parts = [dice.pick(_HEADS)] if dice.chance(0.2) else []
    parts.append(item.passage)
    kinds = dice.some((_value, _whether, _truth), 1 + dice.below(2))
    return joined([*parts, *(kind(dice, item) for kind in kinds)])


def _value(dice: Dice, item: reading.Asked) -> str:
    full = item.claim.format(v=item.answer)
    return frames.answered(dice, item.question, item.short, full)


def _verdict(dice: Dice, item: reading.Asked) -> tuple[bool, str]:
    verdict = dice.chance(0.5)
    return verdict, item.answer if verdict else reading.opposite_value(dice, item)


def _whether(dice: Dice, item: reading.Asked) -> str:
    verdict, value = _verdict(dice, item)
    claim, truth = item.claim.format(v=value), item.claim.format(v=item.answer)
    return frames.confirmed(dice, item.check.format(v=value), verdict, claim, truth)


def _truth(dice: Dice, item: reading.Asked) -> str:
    verdict, value = _verdict(dice, item)
    return frames.judged(dice, item.claim.format(v=value), verdict)


def answers(dice: Dice) -> str:
    """A question with several answers, each judged, or all that are right."""
    item = reading.many_answers(dice, 1 + dice.below(3))
    right = [text for text, truth in item.answers if truth]
    if item.level < 3 and dice.chance(0.5):
        end = f"{item.question} {capital(listed(right))}."
        return f"{item.passage} {end}"
    judged = []
    for text, truth in dice.some(item.answers, 2):
        word = "true" if truth else "false"
        frame = dice.pick(("{}: that is {}.", "{}? That is {}.", "{}, true or false? {}", "{}: {}"))
        judged.append(frame.format(capital(text), word))
    return joined([item.passage, item.question, *judged])


def ranking(dice: Dice) -> str:
    """Who is taller than whom, and who of all is the tallest of three."""
    x, y, z = dice.some(NAMES, 3)
    pair = dice.pick(COMPARED)
    links = [(x, y), (y, z)] if dice.chance(0.5) else [(x, y)]
    texts = [sentence(compare(*link, pair, dice.chance(0.5))[0]) for link in dice.mixed(links)]
    top, low = links[0][0], links[-1][1]
    verdict, flipped = dice.chance(0.5), dice.chance(0.5)
    order = (top, low) if verdict else (low, top)
    claim, question = compare(*order, pair, flipped)
    truth = compare(top, low, pair, flipped)[0]
    end = dice.pick(
        (
            frames.answered(dice, f"Who is {pair[0]}, {top} or {low}?", top, f"{top} is {pair[0]}"),
            frames.answered(dice, f"Who is {pair[1]}, {low} or {top}?", low, f"{low} is {pair[1]}"),
            frames.confirmed(dice, question, verdict, claim, truth),
            frames.judged(dice, claim, verdict),
        )
    )
    return joined([*texts, end])


def tale(dice: Dice) -> str:
    """A story of moves or of numbers, with what is so in the end."""
    told = stories.counting(dice) if dice.chance(0.4) else stories.story(dice, 2 + dice.below(2))
    full = told.claim.format(v=told.answer)
    end = dice.pick(
        (sentence(f"so {full}"), frames.answered(dice, told.question, told.answer, full))
    )
    return f"{told.text} {end}"


def letter(dice: Dice) -> str:
    """A letter: the writer tells of themselves as "I", and we draw our conclusions."""
    writer, reader = dice.some(NAMES, 2)
    facts = [Fact(writer, r, dice.pick(r.values)) for r in dice.some(PERSONAL, 2 + dice.below(2))]
    lines = [sentence(_in_first_person(dice, fact)) for fact in facts]
    start = dice.pick((f"Dear {reader}, how are you?", f"Dear {reader}, here is my news."))
    close = dice.pick(
        (
            f"Your friend {writer}.",
            f"Come and see me on {dice.pick(DAYS)}. {writer}",
            f"I will come to {dice.pick(TOWNS)} on {dice.pick(DAYS)}. Your {writer}.",
        )
    )
    parts = [start, *lines, close]
    if dice.chance(0.6):
        fact = dice.pick(facts)
        parts.append(frames.answered(dice, fact.asked(dice), fact.short, fact.claim(dice)))
    return joined(parts)


def _in_first_person(dice: Dice, fact: Fact) -> str:
    subject, verb = dice.pick(fact.relation.tells)
    if subject == "{a}":
        text = f"I am {verb.rest}" if verb.base == "be" else f"I {verb.base} {verb.rest}"
    else:
        text = f"{subject} {verb.says()}".replace("{a}'s", "my")
    return text.format(v=fact.value)


def family(dice: Dice) -> str:
    """Who is whose, and what follows about "Anna's cousin"."""
    one, two = dice.some(NAMES, 2)
    kin, relation = dice.pick(KIN), dice.pick(PERSONAL)
    value = dice.pick(relation.values)
    facts = dice.mixed([Fact(one, kin, two), Fact(two, relation, value)])
    goal = Fact(f"{one}'s {kin.name}", relation, value)
    claim = goal.claim(dice, way=dice.pick(relation.ways_for(goal.subject)))
    end = dice.pick(
        (
            sentence(f"so {claim}"),
            frames.answered(dice, goal.asked(dice), goal.short, claim),
            f"Who is {one}'s {kin.name}? {two}.",
        )
    )
    return joined([reading.told(dice, facts), end])


def told_twice(dice: Dice) -> str:
    """Reported speech: somebody says what somebody else has said or wants to know."""
    relation = dice.pick(PERSONAL)
    name, speaker, listener = dice.some(NAMES, 3)
    fact = Fact(name, relation, dice.pick(relation.values))
    he = (pronouns(listener) or ("they",))[0]
    return dice.pick(
        (
            f"{speaker} told {listener} that {fact.claim(dice)}. Now {listener} knows "
            f"{fact.wondered(dice)}. {capital(he)} knows that {fact.claim(dice)}.",
            f"{listener} wants to know {fact.wondered(dice)}. {speaker} knows it. "
            f"{sentence(fact.claim(dice))}",
            f"Does {listener} know {fact.wondered(dice)}? {speaker} has told {listener}: "
            f"{fact.claim(dice)}.",
            f"{speaker} and {listener} talk about {name}. {speaker}: {fact.asked(dice)} "
            f"{listener}: {sentence(fact.short)}",
        )
    )
