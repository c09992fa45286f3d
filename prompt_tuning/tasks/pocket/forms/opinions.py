"""Reviews with their verdicts, reports with their topics."""

from prompt_tuning.tasks.pocket.opinions import VERDICTS, opening, review
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, a, capital, joined, listed
from prompt_tuning.tasks.pocket.topics import TOPICS, report

_LEVELS = ((1, 2, 3, 4), (0.6, 0.15, 0.2, 0.05))
_ENDS = (
    "It is a {v} {i}.",
    "In short, a {v} {i}.",
    "All in all, the {i} was {v}.",
    "So my verdict is {v}.",
    "Verdict: {v}",
    "Was the {i} good or bad? It was {v}.",
    "Good or bad? {V}.",
    "Good or bad? {v}",
    "I call that {v}.",
    "Would {n} say good or bad? {n} would say {v}.",
    "In short: {v}",
    "What does {n} think of the {i}? It is {v}, {n} thinks.",
)
_DEEDS = {
    True: ("I will come again.", "I was happy with it.", "Was I happy with it? Yes."),
    False: ("I will not come again.", "I was not happy with it.", "Was I happy with it? No."),
}
_HEADS = (
    "Is this review good or bad?",
    "Read the review and say what {n} thinks, good or bad.",
    "{n} has written a review.",
    "What does {n} say about the {i}?",
    "A {v} {i}:",
)


def reviewed(dice: Dice) -> str:
    """A review and what it comes to."""
    good = dice.chance(0.5)
    item = review(dice, good, dice.sized(*_LEVELS))
    words = {"v": VERDICTS[good], "V": capital(VERDICTS[good]), "i": item.item}
    words["n"] = dice.pick(NAMES)
    parts = []
    if dice.chance(0.25):
        parts.append(dice.pick(_HEADS).format(**words))
    if dice.chance(0.4):
        parts.append(opening(dice, item.item))
    parts.append(item.text)
    if dice.chance(0.25):
        parts.append(dice.pick(_DEEDS[good]))
    parts.append(dice.pick(_ENDS).format(**words))
    return joined(parts)


def two_reviews(dice: Dice) -> str:
    """Two people, two reviews, and who is of which opinion."""
    names, goods = dice.some(NAMES, 2), [dice.chance(0.5), dice.chance(0.5)]
    parts = []
    for name, good in zip(names, goods, strict=True):
        item = review(dice, good, dice.sized(*_LEVELS))
        parts.append(f"{name} writes about {a(item.item)}: {item.text}")
    one, two = names
    x, y = (VERDICTS[good] for good in goods)
    if goods[0] == goods[1]:
        ends = (
            f"Both reviews are {x}.",
            f"They agree: {x}.",
            f"Do the two reviews agree? They agree. Both are {x}.",
        )
    else:
        happy = names[goods.index(True)]
        ends = (
            f"The first review is {x}, the second is {y}.",
            f"The two reviews differ. {one}: {x}. {two}: {y}.",
            f"Who was happy? {happy} was.",
            f"Which review is good, the first or the second? "
            f"The {'first' if goods[0] else 'second'}.",
        )
    return joined([*parts, dice.pick(ends)])


_ABOUT = (
    "This report is about {t}.",
    "The topic is {t}.",
    "Topic: {t}",
    "What is it about? It is about {t}.",
    "What is the topic? {T}.",
    "In short: {t}",
    "{n} read this because {n} likes news about {t}.",
    "Is it about {x} or {y}? It is about {t}.",
    "{L}? {T}.",
    "{L}? {t}",
)
_NEWS = ("News about {t}:", "From the world of {t}:", "Here is a report on {t}.", "{T} news:")


def reported(dice: Dice) -> str:
    """A report and its topic, after it or before it."""
    topic = dice.pick(TOPICS)
    text = report(dice, topic, 1 + dice.below(3)).text
    if dice.chance(0.25):
        return f"{dice.pick(_NEWS).format(t=topic, T=capital(topic))} {text}"
    other = dice.other(TOPICS, topic)
    x, y = dice.mixed((topic, other))
    options = dice.mixed([topic, *dice.some([t for t in TOPICS if t != topic], 2)])
    words = {"t": topic, "T": capital(topic), "n": dice.pick(NAMES), "x": x, "y": y}
    return f"{text} {dice.pick(_ABOUT).format(L=capital(listed(options, 'or')), **words)}"


def digest(dice: Dice) -> str:
    """Two reports, and whether they are about the same."""
    same = dice.chance(0.5)
    one = dice.pick(TOPICS)
    two = one if same else dice.other(TOPICS, one)
    texts = [report(dice, t, 2 + dice.below(2)).text for t in (one, two)]
    if same:
        ends = (
            f"Both are about {one}.",
            "Do they have the same topic? Yes.",
            "The topic of the two is the same.",
            f"The first is about {one}, and so is the second.",
        )
    else:
        ends = (
            f"One is about {one}, the other about {two}.",
            "Do they have the same topic? No.",
            "The topic of the two is different.",
            f"The first is about {one}, the second is about {two}.",
        )
    return f"{texts[0]} {texts[1]} {dice.pick(ends)}"
