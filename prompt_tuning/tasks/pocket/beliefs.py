"""What follows about a fact from how somebody stands to it (knowing, hoping, being wrong).

As in the CommitmentBank: what somebody knows, regrets or does not know is so; what somebody hopes
or says may be so; what somebody pretends or is wrong about is not so.
"""

import dataclasses

from prompt_tuning.tasks.pocket.people import PERSONAL
from prompt_tuning.tasks.pocket.places import BUILDINGS, LOCAL
from prompt_tuning.tasks.pocket.relations import NAMES, Fact
from prompt_tuning.tasks.pocket.text import Dice, Verb, sentence

# "true", "false" and "unknown" are the three verdicts; here as True, False and None.
VERDICTS = {True: "true", False: "false", None: "unknown"}

# Stances: what they say of the embedded clause, and what their negation says of it.
_STANCES: dict[tuple[bool | None, bool | None], tuple[Verb, ...]] = {
    (True, True): (
        Verb("know", "that {c}"),
        Verb("see", "that {c}"),
        Verb("remember", "that {c}"),
        Verb("regret", "that {c}"),
        Verb("be", "glad that {c}"),
        Verb("be", "sorry that {c}"),
    ),
    (None, None): (
        Verb("think", "that {c}"),
        Verb("believe", "that {c}"),
        Verb("hope", "that {c}"),
        Verb("say", "that {c}"),
        Verb("fear", "that {c}"),
        Verb("be", "sure that {c}"),
    ),
    (False, True): (
        Verb("be", "wrong to think that {c}"),
        Verb("be", "wrong to say that {c}"),
        Verb("be", "mistaken when thinking that {c}"),
    ),
    (True, False): (
        Verb("be", "right to think that {c}"),
        Verb("be", "right to say that {c}"),
    ),
}
# Stances of nobody in particular, and pretending, which has no clear negation.
_OTHERS: dict[bool | None, tuple[str, ...]] = {
    True: ("it is true that {c}", "it is certain that {c}", "nobody doubts that {c}"),
    False: ("it is false that {c}", "it is not true that {c}", "{b} pretends that {c}"),
    None: ("it may be that {c}", "perhaps {c}", "nobody knows whether {c}"),
}


@dataclasses.dataclass(frozen=True)
class Belief:
    """A premise, a claim, and whether the claim is true, false or unknown (None).

    level: 1 plain, 2 with a denial inside the premise or in the claim, 3 with a denied stance or a
    claim about the wrong person. `logic` is (stance, stance denied, inner denied, claim denied,
    same subject), from which the verdict can be computed again.
    """

    premise: str
    claim: str
    verdict: bool | None
    level: int
    key: str
    logic: dict


def stance_of(verdict: bool | None, denied: bool) -> list[tuple[str, Verb]]:
    """(name of the class, verb) of all stances which say this of the embedded clause."""
    return [
        (f"{plain}/{negated}", verb)
        for (plain, negated), verbs in _STANCES.items()
        if (negated if denied else plain) is verdict
        for verb in verbs
    ]


def local_fact(dice: Dice) -> Fact:
    """A fact about a person or a building, as one document may hold."""
    if dice.chance(0.7):
        relation = dice.pick(PERSONAL)
        return Fact(dice.pick(NAMES), relation, dice.pick(relation.values))
    relation = dice.pick(LOCAL)
    return Fact(dice.pick(BUILDINGS), relation, dice.pick(relation.values))


def belief(dice: Dice, verdict: bool | None, level: int) -> Belief:
    """A premise and a claim with this verdict at this level."""
    fact = local_fact(dice)
    holder = dice.other(NAMES, fact.subject)
    denials = ((False, False), (True, False), (False, True), (True, True))
    inner, outer = dice.pick((denials[:1], denials[1:], denials)[level - 1])
    same = not (level == 3 and verdict is None and dice.chance(0.5) and fact.relation in PERSONAL)
    embedded = verdict if verdict is None or inner == outer else not verdict
    denied = level == 3 and same
    if not same:
        # Any stance will do: the claim is about its holder, of whom nothing is said.
        embedded, denied = dice.pick((True, False)), dice.chance(0.5)
    clause = fact.claim(dice, denied=inner)
    if level < 3 and dice.chance(0.25):
        text = dice.pick(_OTHERS[embedded]).format(b=holder, c=clause)
        stance = f"{embedded}/-"
    else:
        stance, verb = dice.pick(stance_of(embedded, denied))
        text = f"{holder} {verb.says(negated=denied)}".format(c=clause)
    about = fact if same else dataclasses.replace(fact, subject=holder)
    claim = about.claim(dice, denied=outer)
    logic = {
        "stance": stance,
        "stance_denied": denied,
        "inner_denied": inner,
        "claim_denied": outer,
        "same_subject": same,
    }
    key = f"{'/'.join(fact.key)}/{stance}/{holder}"
    return Belief(sentence(text), sentence(claim), verdict, level, key, logic)
