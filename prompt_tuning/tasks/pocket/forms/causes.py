"""Documents about what happens and why, and in what order."""

from prompt_tuning.tasks.pocket.events import CHAINS, SCENES, Event
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, capital, joined, listed, sentence

_BECAUSE = (
    "{E} because {c}.",
    "Because {c}, {e}.",
    "{C}, so {e}.",
    "{C}. So {e}.",
    "{C}. As a result, {e}.",
    "{C}. That is why {e}.",
    "{C}. The effect was that {e}.",
    "{E}. The cause was that {c}.",
    "Since {c}, {e}.",
    "{E}, for {c}.",
)
_WHY = (
    "Why was it that {e}? Because {c}.",
    "{E}. Why? Because {c}.",
    "{E}. What was the cause? {C}.",
    "What was the cause of this: {e}? The cause was this: {c}.",
    "{m} asked why {e}. {k} said that {c}.",
    "{C}. What was the effect? {E}.",
    "{C}. What happened as a result? {E}.",
    "What comes of it if {c}? This may be the effect: {e}.",
)


def _link(dice: Dice) -> tuple[Event, Event]:
    chain = dice.pick(CHAINS[dice.pick(SCENES)])
    step = dice.below(2)
    return chain[step], chain[step + 1]


def _words(dice: Dice, first: Event, second: Event, name: str) -> tuple[str, str]:
    """Two events as clauses in the order in which they are told."""
    one = first.told(dice.below(2), name)
    return one, second.told(dice.below(2), name, pronoun=name in one)


def _fill(dice: Dice, frame: str, cause: Event, effect: Event, name: str) -> str:
    """A frame in which {c}, {C} is the cause and {e}, {E} the effect; the later has the pronoun."""
    lower = frame.lower()
    if lower.index("{e}") < lower.index("{c}"):
        e, c = _words(dice, effect, cause, name)
    else:
        c, e = _words(dice, cause, effect, name)
    m, k = dice.some([n for n in NAMES if n != name], 2)
    return frame.format(c=c, C=capital(c), e=e, E=capital(e), m=m, k=k)


def because(dice: Dice) -> str:
    """Cause and effect, told one or two ways, or asked for."""
    cause, effect = _link(dice)
    name = dice.pick(NAMES)
    text = _fill(dice, dice.pick(_BECAUSE if dice.chance(0.5) else _WHY), cause, effect, name)
    if dice.chance(0.35):
        cause, effect = _link(dice)
        text += " " + _fill(dice, dice.pick(_BECAUSE), cause, effect, dice.other(NAMES, name))
    return text


def chain(dice: Dice) -> str:
    """All three events of a chain as a story, sometimes with the question how it began or ended."""
    events = dice.pick(CHAINS[dice.pick(SCENES)])
    name = dice.pick(NAMES)
    one = events[0].told(dice.below(2), name)
    two = events[1].told(dice.below(2), name, pronoun=name in one)
    three = events[2].told(dice.below(2), name, pronoun=name in one + two)
    words = {"a": one, "b": two, "c": three, "A": capital(one), "B": capital(two), "n": name}
    words["C"] = capital(three)
    text = dice.pick(
        (
            "{A}. So {b}. In the end, {c}.",
            "First, {a}. Then {b}. And so {c}.",
            "{A}, and {b}. That is why {c}.",
            "{A}. {B}, and so {c}.",
        )
    ).format(**words)
    if dice.chance(0.5):
        return text
    before = events[0].told(dice.below(2), name)
    after = events[2].told(dice.below(2), name)
    middle = events[1].told(dice.below(2), name)
    return (
        text
        + " "
        + dice.pick(
            (
                f"How did it begin? {capital(before)}.",
                f"How did it end? {capital(after)}.",
                f"Which came first, that {middle} or that {before}? {capital(before)}.",
                f"Was it the cause or the effect of this that {before}? It was the cause.",
                f"Was it the cause or the effect of this that {after}? It was the effect.",
            )
        )
    )


def chosen(dice: Dice) -> str:
    """Two things that may explain, or follow from, an event: the first or the second?"""
    scene = dice.pick(SCENES)
    right = dice.pick(CHAINS[scene])
    wrong = dice.pick(CHAINS[dice.other(SCENES, scene) if dice.chance(0.75) else scene])
    while wrong is right:
        wrong = dice.pick(CHAINS[scene])
    cause = dice.chance(0.5)
    step = dice.below(2)
    given = right[step + 1] if cause else right[step]
    answer = right[step] if cause else right[step + 1]
    other = wrong[answer.step]
    if dice.chance(0.1) and given.step == 1:
        other = right[2 - answer.step]  # the other end of the same chain
    name = dice.pick(NAMES)
    told = [event.told(dice.below(2), name) for event in (given, answer, other)]
    swap = dice.chance(0.5)
    options = (told[2], told[1]) if swap else (told[1], told[2])
    place = "second" if swap else "first"
    kind = "cause" if cause else "effect"
    ask = dice.pick(
        (
            f"What was the {kind}, the first or the second? {sentence(options[0])} "
            f"{sentence(options[1])}",
            f"Two things may be the {kind}. First, {options[0]}. Second, {options[1]}.",
            f"Which is the {kind}? 1. {capital(options[0])}. 2. {capital(options[1])}.",
            f"There is a choice of two for the {kind}: {options[0]}, or {options[1]}.",
            f"{capital(options[0])}, or {options[1]}: which of the two was the {kind}?",
            f"Either {options[0]}, or {options[1]}. One of them was the {kind}.",
        )
    )
    end = dice.pick(
        (
            f"The {place} is the {kind}.",
            f"The {place}.",
            f"It was the {place}.",
            f"{capital(place)}.",
            f"My choice is the {place}.",
            f"Which one? {place}",
            f"It was this: {told[1]}.",
            f"The {kind} was that {told[1]}. It was the {place}.",
            f"I think that {told[1]}. That is the {place}.",
        )
    )
    return joined([f"{capital(told[0])}.", ask, end])


_RECIPES = {
    "soup": ("cut the onions", "fill a pot with water", "cook it for an hour", "add some salt"),
    "bread": ("mix water and salt", "wait for an hour", "form a loaf", "put it into the stove"),
    "tea": ("boil the water", "warm the cup", "wait a little", "add some honey"),
    "a kite": ("cut the paper", "join two sticks", "tie on a string", "wait for the wind"),
    "a garden": ("dig up the ground", "plant the seeds", "water them", "wait for the sun"),
    "a fire": ("collect dry wood", "put paper under it", "light a match", "keep the wind away"),
}


def recipe(dice: Dice) -> str:
    """How to do something in steps, and what comes before or after what."""
    goal = dice.pick(tuple(_RECIPES))
    steps = list(_RECIPES[goal])
    one, two, three, four = steps
    text = dice.pick(
        (
            f"How does one make {goal}? First, {one}. Then {two}. After that, {three}. "
            f"At the end, {four}.",
            f"To make {goal}, {listed(steps)}.",
            f"Do you want {goal}? {capital(one)}. {capital(two)}. Then {three}, and {four}.",
        )
    )
    if dice.chance(0.3):
        return text
    at = dice.below(3)
    return (
        text
        + " "
        + dice.pick(
            (
                f"What comes after this: {steps[at]}? {sentence(steps[at + 1])}",
                f"What comes before this: {steps[at + 1]}? {sentence(steps[at])}",
                f"What is the first thing to do? {sentence(one)}",
                f"What is the last thing to do? {sentence(four)}",
            )
        )
    )
