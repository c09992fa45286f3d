"""Passages of local facts, and questions that only the passage answers."""

import dataclasses

from prompt_tuning.tasks.pocket import stories
from prompt_tuning.tasks.pocket.people import KIN, PERSONAL
from prompt_tuning.tasks.pocket.places import BUILDINGS, LOCAL
from prompt_tuning.tasks.pocket.relations import NAMES, Fact
from prompt_tuning.tasks.pocket.text import Dice, capital

DOMAINS = {"people": (NAMES, PERSONAL), "buildings": (BUILDINGS, LOCAL)}


@dataclasses.dataclass(frozen=True)
class Asked:
    """A passage and a question about it.

    answer: the value, as it stands in the passage. short: the answer as one says it ("in Arlen").
    full: the whole clause. others: values that the passage or the kind of question suggests.
    check: the yes/no question with `{v}`. claim: the clause with `{v}`.
    level: 1 one fact or two, 2 the value of somebody else stands there too, 3 two steps or counts.
    facts: (subject, relation, value) or, of stories, ("", "event", text) in order; goal: the
    subject and relation asked for, or the question itself.
    """

    passage: str
    question: str
    answer: str
    short: str
    others: tuple[str, ...]
    check: str
    claim: str
    level: int
    facts: tuple[tuple[str, str, str], ...]
    goal: tuple[str, str]

    @property
    def key(self) -> str:
        """The content: all facts (or events) and what is asked."""
        told_in_order = self.facts[0][1] == "event"
        facts = self.facts if told_in_order else sorted(self.facts)
        return "; ".join("/".join(fact) for fact in facts) + f" ? {'/'.join(self.goal)}"


def told(dice: Dice, facts: list[Fact]) -> str:
    """The facts as sentences, in the given order, with pronouns and a few joined by "but"."""
    texts: list[str] = []
    last: Fact | None = None
    for fact in facts:
        again = last is not None and fact.subject == last.subject
        text = fact.told(dice, pronoun=again and dice.chance(0.6))
        joins = last is not None and fact.relation is last.relation and not again
        if last and joins and "," not in texts[-1] and dice.chance(0.4):
            start = text if fact.subject in NAMES else text[0].lower() + text[1:]
            word = "and" if fact.value == last.value else dice.pick(("but", "and", "while"))
            texts[-1] = f"{texts[-1][:-1]}, {word} {start}"
        else:
            texts.append(text)
        last = fact
    return " ".join(texts)


def asked(dice: Dice, level: int, domain: str = "people", counts: bool = True) -> Asked:
    """A passage and question of a domain: "people", "buildings" or "stories".

    counts: whether people of level 3 also count things; such answers are not in the passage.
    """
    if domain == "stories":
        return _from_story(stories.story(dice, level))
    subjects, relations = DOMAINS[domain]
    if level == 3 and domain == "people":
        if counts and dice.chance(0.3):
            return _from_story(stories.counting(dice))
        return _two_steps(dice)
    one, two = dice.some(subjects, 2)
    relation, second = dice.some(relations, 2)
    value, wrong, third = dice.some(relation.values, 3)
    fact = Fact(one, relation, value)
    facts = [fact]
    if level == 1:
        if dice.chance(0.6):
            facts.append(Fact(one, second, dice.pick(second.values)))
    else:
        facts.append(Fact(two, relation, wrong))
        if level == 3:
            facts.append(Fact(two, second, dice.pick(second.values)))
        if level == 3 or dice.chance(0.4):
            facts.append(Fact(one, second, dice.pick(second.values)))
    facts = dice.mixed(facts)
    return _ask(dice, fact, told(dice, facts), (wrong, third), level, facts)


def _ask(
    dice: Dice, fact: Fact, text: str, others: tuple[str, ...], level: int, facts: list[Fact]
) -> Asked:
    way = dice.pick(fact.relation.ways_for(fact.subject))
    open_fact = dataclasses.replace(fact, value="{v}")
    return Asked(
        passage=text,
        question=fact.asked(dice),
        answer=fact.value,
        short=fact.short,
        others=others,
        check=open_fact.checked(dice, way),
        claim=open_fact.claim(dice, way=way),
        level=level,
        facts=tuple(f.key for f in facts),
        goal=(fact.subject, fact.relation.name),
    )


def _two_steps(dice: Dice) -> Asked:
    """Where does Anna's cousin live? One must find the cousin first."""
    one, two = dice.some(NAMES, 2)
    kin, relation = dice.pick(KIN), dice.pick(PERSONAL)
    value, wrong, third = dice.some(relation.values, 3)
    facts = [Fact(one, kin, two), Fact(two, relation, value)]
    if dice.chance(0.6):
        facts.append(Fact(one, relation, wrong))
    facts = dice.mixed(facts)
    goal = Fact(f"{one}'s {kin.name}", relation, value)
    return _ask(dice, goal, told(dice, facts), (wrong, third), 3, facts)


def _from_story(story: stories.Told) -> Asked:
    return Asked(
        passage=story.text,
        question=story.question,
        answer=story.answer,
        short=story.answer,
        others=story.others,
        check=story.check,
        claim=story.claim,
        level=story.level,
        facts=tuple(("", "event", event) for event in story.events),
        goal=("", story.question),
    )


@dataclasses.dataclass(frozen=True)
class ManyAnswers:
    """A question with several right answers; `answers` are (text, whether it is right)."""

    passage: str
    question: str
    answers: tuple[tuple[str, bool], ...]
    level: int
    facts: tuple[tuple[str, str, str], ...]

    @property
    def key(self) -> str:
        return "; ".join("/".join(fact) for fact in sorted(self.facts))


def many_answers(dice: Dice, level: int) -> ManyAnswers:
    """Four answers, two of them right.

    Level 1: who does something. 2: which things somebody likes or fears. 3: what is true of one.
    """
    relation = dice.pick(PERSONAL)
    if level == 1:
        names = dice.some(NAMES, 4)
        value, wrong = dice.some(relation.values, 2)
        facts = [Fact(n, relation, value if i < 2 else wrong) for i, n in enumerate(names)]
        verb = dice.pick([verb for subject, verb in relation.tells if subject == "{a}"])
        question = f"Who {verb.says().format(v=value)}?"
        answers = [(name, i < 2) for i, name in enumerate(names)]
    elif level == 2:
        relation = dice.pick([r for r in PERSONAL if r.name in ("likes", "fear")])
        one, two = dice.some(NAMES, 2)
        values = dice.some(relation.values, 4)
        facts = [Fact(one if i < 2 else two, relation, v) for i, v in enumerate(values)]
        question = facts[0].asked(dice)
        answers = [(value, i < 2) for i, value in enumerate(values)]
    else:
        one, two = dice.some(NAMES, 2)
        relations = dice.some(PERSONAL, 2)
        facts = [Fact(n, r, dice.pick(r.values)) for n in (one, two) for r in relations]
        while facts[0].value == facts[2].value or facts[1].value == facts[3].value:
            facts = [Fact(n, r, dice.pick(r.values)) for n in (one, two) for r in relations]
        question = f"What is true of {one}?"
        claims = [*facts[:2], *(dataclasses.replace(f, subject=one) for f in facts[2:])]
        answers = [(capital(f.claim(dice)), i < 2) for i, f in enumerate(claims)]
    facts = dice.mixed(facts)
    keys = tuple(fact.key for fact in facts)
    return ManyAnswers(told(dice, facts), question, tuple(dice.mixed(answers)), level, keys)


def told_or_not(dice: Dice) -> ManyAnswers:
    """Two values that stand in a passage about one person, and two like them that do not."""
    one = dice.pick(NAMES)
    facts, answers = [], []
    for relation in dice.some(PERSONAL, 2):
        value, other = dice.some(relation.values, 2)
        facts.append(Fact(one, relation, value))
        answers += [(value, True), (other, False)]
    keys = tuple(fact.key for fact in facts)
    question = f"What do we hear of {one}?"
    return ManyAnswers(told(dice, facts), question, tuple(dice.mixed(answers)), 1, keys)


def opposite_value(dice: Dice, item: Asked) -> str:
    """A wrong value for a yes/no question: one from the passage where there is one."""
    return dice.pick([v for v in item.others if v in item.passage] or item.others)
