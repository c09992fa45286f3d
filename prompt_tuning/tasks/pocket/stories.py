"""Short stories in which people and things move, so that the last word on a thing counts."""

import dataclasses

from prompt_tuning.tasks.pocket.relations import NAMES, pronouns
from prompt_tuning.tasks.pocket.text import NUMBERS, Dice, capital, plural, sentence, words

SPOTS = words(
    "the kitchen, the garden, the barn, the school, the park, the church, the cellar, "
    "the shop, the hall, the tower"
)
ITEMS = words("the book, the hat, the cup, the flute, the lamp, the basket, the map, the ball")
_GOES = ("{a} went to {p}", "{a} walked to {p}", "{a} ran to {p}")
_TAKES = ("{a} took {x}", "{a} picked up {x}", "{a} got {x}")
_LEAVES = ("{a} left {x} in {p}", "{a} put {x} down in {p}")
_GIVES = ("{a} gave {x} to {b}", "{a} handed {x} to {b}")
COUNTED = words("apple, pear, plum, egg, coin, book, cup")


@dataclasses.dataclass(frozen=True)
class Told:
    """A story with one question.

    `answer` stands word for word in the text (but for counts); `others` are wrong answers of the
    same kind. check: the yes/no question "... {v}?". claim: "... {v}". events: one by one, by name.
    """

    text: str
    question: str
    answer: str
    others: tuple[str, ...]
    check: str
    claim: str
    level: int
    events: tuple[str, ...]


def story(dice: Dice, level: int) -> Told:
    """Level 1: where one went. 2: who got a thing, or where it was left. 3: where it is now."""
    one, two = dice.some(NAMES, 2)
    here, there, far = dice.some(SPOTS, 3)
    item, other = dice.some(ITEMS, 2)
    fill = {"a": one, "b": two, "x": item}

    def act(ways: tuple[str, ...], **words: str) -> str:
        return dice.pick(ways).format(**{**fill, **words})

    if level == 1:
        events = [act(_GOES, p=here), act(_GOES, a=two, p=there)]
        if dice.chance(0.5):
            events.insert(dice.below(3), act(_TAKES, a=two, x=other))
        who, answer, others = dice.pick(((one, here, (there,)), (two, there, (here,))))
        ask = (f"Where did {who} go?", f"Did {who} go to {{v}}?", f"{who} went to {{v}}")
    elif level == 2 and dice.chance(0.5):
        events = [act(_TAKES), act(_GIVES)]
        if dice.chance(0.5):
            events.insert(1, act(_GOES, p=here))
        answer, others = two, (one,)
        ask = (f"Who has {item} now?", f"Does {{v}} have {item} now?", f"{{v}} has {item} now")
    elif level == 2:
        events = dice.mixed([act(_LEAVES, p=here), act(_LEAVES, a=two, x=other, p=there)])
        answer, others = here, (there,)
        ask = (f"Where is {item}?", f"Is {item} in {{v}}?", f"{item} is in {{v}}")
    else:
        # One carries the thing, so it is where that one went last; the other only walks.
        events = [act(_TAKES), act(_GOES, p=here)]
        answer, others = here, (there,)
        if dice.chance(0.5):
            events.append(act(_GOES, p=far))
            answer, others = far, (here, there)
        events.insert(dice.below(len(events) + 1), act(_GOES, a=two, p=there))
        ask = (f"Where is {item} now?", f"Is {item} in {{v}} now?", f"{item} is in {{v}} now")
    return Told(_joined(dice, events), ask[0], answer, others, ask[1], ask[2], level, tuple(events))


def counting(dice: Dice) -> Told:
    """Small numbers that grow or shrink: level 3."""
    who, other = dice.some(NAMES, 2)
    noun = dice.pick(COUNTED)
    start, change = 2 + dice.below(4), 1 + dice.below(2)
    some = _count(start, noun)
    he = (pronouns(who) or ("they",))[0]
    if dice.chance(0.5):
        end = start + change
        more = f"{NUMBERS[change]} more"
        way = (f"{other} gave {{}} {more}", f"{{}} found {more}")
    else:
        end = start - change
        way = (f"{{}} lost {NUMBERS[change]} of them", f"{{}} gave {NUMBERS[change]} to {other}")
    second = dice.pick(way)
    second = second.format(capital(he) if second.startswith("{}") else who)
    text = f"{who} had {some}. {second}."
    wrong = tuple(NUMBERS[n] for n in sorted({start, end - 1, end + 1} - {0, 1}))
    many = plural(noun)
    if end == 1:
        return counting(dice)
    return Told(
        text,
        f"How many {many} does {who} have now?",
        NUMBERS[end],
        wrong,
        f"Does {who} have {{v}} {many} now?",
        f"{who} has {{v}} {many} now",
        3,
        (text,),
    )


def _count(number: int, noun: str) -> str:
    return f"{NUMBERS[number]} {noun if number == 1 else plural(noun)}"


def _joined(dice: Dice, events: list[str]) -> str:
    """Events in order; the person of two in a row becomes a pronoun, some get "then"."""
    texts, last = [], ""
    for number, event in enumerate(events):
        who = event.split(" ", 1)[0]
        if who == last and (short := pronouns(who)):
            event = f"{short[0]}{event[len(who) :]}"
        if number and dice.chance(0.4):
            event = f"{dice.pick(('then', 'after that', 'later'))} {event}"
        texts.append(sentence(event))
        last = who
    return " ".join(texts)
