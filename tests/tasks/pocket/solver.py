"""Answers the tasks from their input texts alone, knowing the world but not how rows are made.

A text that cannot be read raises ValueError.
"""

import re

from prompt_tuning.tasks.pocket.atlas import ATLAS, REGION
from prompt_tuning.tasks.pocket.events import CHAINS
from prompt_tuning.tasks.pocket.opinions import SIDES
from prompt_tuning.tasks.pocket.paraphrase import COMPARED, STATES
from prompt_tuning.tasks.pocket.senses import SENSES
from prompt_tuning.tasks.pocket.things import THINGS
from prompt_tuning.tasks.pocket.topics import CONTENTS
from tests.tasks.pocket.reader import ASKS, NAME, claim, fields, first_small, parse

STANCES = (
    # What precedes the embedded clause: true, false or unknown of it.
    (r"it is (true|certain) that|nobody doubts that", "true"),
    (r"it is (false|not true) that|\w+ pretends that", "false"),
    (r"it may be that|perhaps|nobody knows whether", "unknown"),
    (r"\w+ is (wrong to (think|say)|mistaken when thinking) that", "false"),
    (r"\w+ is not (wrong to (think|say)|mistaken when thinking) that", "true"),
    (r"\w+ is right to (think|say) that", "true"),
    (r"\w+ is not right to (think|say) that", "false"),
    (r"\w+ (knows|sees|remembers|regrets|is glad|is sorry) that", "true"),
    (r"\w+ (does not (know|see|remember|regret)|is not (glad|sorry)) that", "true"),
    (r"\w+ (thinks|believes|hopes|says|fears|is sure) that", "unknown"),
    (r"\w+ (does not (think|believe|hope|say|fear)|is not sure) that", "unknown"),
)


def cb(text: str) -> str:
    hypothesis, premise = fields(text, "hypothesis", "premise")
    for stance, verdict in STANCES:
        if match := re.match(rf"(?:{stance}) ", first_small(premise)):
            *inner, inner_denied = claim(premise[match.end() :])
            *outer, outer_denied = claim(hypothesis)
            if verdict == "unknown" or inner != outer:
                return "unknown"
            return (
                verdict if inner_denied == outer_denied else {"true": "false"}.get(verdict, "true")
            )
    raise ValueError(f"no stance: {premise}")


def comparison(clause: str) -> tuple[str, str, str]:
    """Who is more, of what, than whom."""
    one, word, two = re.fullmatch(rf"({NAME}) is (\w+) than ({NAME})", clause).groups()
    for more, less in COMPARED:
        if word == more:
            return one, more, two
        if word == less:
            return two, more, one
    raise ValueError(clause)


CATEGORY = {t.name: [t.name, *(c.name for c in t.category.line)] for t in THINGS}
PLURAL = {t.plural: t.name for t in THINGS} | {
    c.plural: c.name for t in THINGS for c in t.category.line
}
TRAITS = {t.name: [trait.says() for trait in t.traits] for t in THINGS}


def is_a(low: str, high: str) -> bool:
    lines = [line[line.index(low) :] for line in CATEGORY.values() if low in line]
    return high in lines[0]


def noun(text: str) -> str:
    """The thing in "a sparrow", "no bird", "any fish"."""
    return re.fullmatch(r"(?:an?|no|any) (\w+)", text)[1]


SAW = rf"({NAME}) (?:saw|found|wanted|drew) "
NOT = rf"({NAME}) (?:(?:did not (?:see|find|want|draw) (?:any|an?))|(?:saw|found|wanted|drew) no) "
WHERE = r"(?: (?:in the park|in the garden|at the harbour|near the river|by the lake))"
WHEN = r"(?: on \w+day)"


def rte(text: str) -> str:
    hypothesis, premise = (first_small(t) for t in fields(text, "hypothesis", "premise"))
    return "certain" if follows(premise, hypothesis) else "doubtful"


def follows(premise: str, hypothesis: str) -> bool:
    if " than " in premise:
        steps = {comparison(c) for c in premise.split(", and ")}
        steps |= {(x, w, z) for x, w, y in steps for y2, w2, z in steps if (y, w) == (y2, w2)}
        return comparison(hypothesis) in steps
    quantified = rf"(all|some|no) (\w+)({WHERE} are .*)"
    if match := re.fullmatch(quantified, premise):
        word, one, rest = match.groups()
        word2, two, rest2 = re.fullmatch(quantified, hypothesis).groups()
        assert (word, rest) == (word2, rest2)
        pair = (one, two) if word == "some" else (two, one)
        return is_a(PLURAL[pair[0]], PLURAL[pair[1]])
    if match := re.fullmatch(rf"{NOT}(\w+)", premise):
        return is_a(re.fullmatch(rf"{NOT}(\w+)", hypothesis)[2], match[2])
    if match := re.fullmatch(r"what \w+ \w+ (.*)", hypothesis):
        return match[1] in TRAITS[noun(re.fullmatch(rf"{SAW}(.*)", premise)[2])]
    if match := re.fullmatch(rf"({NAME})(?:'s home is| lives| has a house) in (.*)", premise):
        region = ATLAS[match[2]][REGION].value
        return hypothesis.endswith(f" in {region}")
    both = rf"{SAW}(an? \w+) (and|or) (an? \w+)"
    if match := re.fullmatch(both, premise):
        return match[3] == "and"
    if match := re.fullmatch(both, hypothesis):
        return match[3] == "or"
    words = re.fullmatch(rf"{SAW}(an?(?: \w+)? \w+?)({WHERE}?)({WHEN}?)", premise).groups()[1:]
    asked = re.fullmatch(rf"{SAW}(an?(?: \w+)? \w+?)({WHERE}?)({WHEN}?)", hypothesis).groups()[1:]
    kept = all(w in ("", v) for w, v in zip(asked[1:], words[1:], strict=True))
    *quality, thing = words[0].split()[1:]
    *quality2, thing2 = asked[0].split()[1:]
    return kept and is_a(thing, thing2) and quality2 in ([], quality)


def _wording(text: str) -> re.Pattern:
    somebody = rf"(?:{NAME}|she|he|her|him|his)(?:'s)?"
    pattern = re.sub(r"\\\{[ago]\\\}", lambda match: somebody, re.escape(text))
    return re.compile(pattern.replace(r"\{p\}", "(?:her|his)"))


EVENTS = [
    (_wording(wording), chain, place)
    for chains in CHAINS.values()
    for chain in chains
    for place, event in enumerate(chain)
    for wording in event.wordings
]


def copa(text: str) -> str:
    first, second, premise, question = fields(text, "choice1", "choice2", "premise", "question")

    def event(sentence: str):
        clause = first_small(sentence)
        [found] = [(chain, place) for p, chain, place in EVENTS if p.fullmatch(clause)]
        return found

    chain, place = event(premise)
    wanted = (chain, place + (1 if question == "effect" else -1))
    right = [wanted == event(choice) for choice in (first, second)]
    assert sum(right) == 1
    return "first" if right[0] else "second"


USES = [
    (
        sense.word,
        sense.gloss,
        re.compile(
            re.escape(use)
            .replace(r"\{a\}", NAME)
            .replace(r"\{o\}", f"(?:{'|'.join(sense.companions)})")
        ),
    )
    for sense in SENSES
    for use in sense.uses
]


def wic(text: str) -> str:
    one, two, word = fields(text, "sentence1", "sentence2", "word")

    def meaning(sentence: str) -> str:
        clause = first_small(sentence)
        [gloss] = {gloss for w, gloss, use in USES if w == word and use.fullmatch(clause)}
        return gloss

    return "same" if meaning(one) == meaning(two) else "different"


GOOD = {word for sides in SIDES.values() for _, good in sides.values() for word in good}
BAD = {word for sides in SIDES.values() for bad, _ in sides.values() for word in bad}
DENIES = r"\b(not|never|far from|anything but|nobody)\b"


def opinion(clause: str) -> bool:
    """Whether one clause says something good."""
    said = [word for word in re.findall(r"\w+", clause) if word in GOOD | BAD]
    if "not only" in clause:
        clause = clause.replace("not only", "")
        assert len({word in GOOD for word in said}) == 1
        said = said[:1]
    [word] = said
    return (word in GOOD) != bool(re.search(DENIES, clause, re.IGNORECASE))


# Joins of two clauses that differ, with the one that decides as the group.
CONTRASTS = (
    r"(?:Although|Even if) .*?, (.*)",
    r"(.*?), (?:although|even if) .*",
    r".*?(?:, but|, yet|\. Still,|\. Even so,) (.*)",
)


def sst2(text: str) -> str:
    [review] = fields(text, "sentence")
    sentences = review.removesuffix(".").split(". ")
    told = [s for s in sentences if set(re.findall(r"\w+", s)) & (GOOD | BAD)]
    whole = ". ".join(told)
    if "but also" in whole:
        verdict = opinion(whole)
    elif matches := [match for join in CONTRASTS if (match := re.fullmatch(join, whole))]:
        verdict = opinion(matches[0][1])
    else:
        parts = re.split(r", and |\. And |\. What is more, ", whole)
        [verdict] = {opinion(part) for part in parts}
    return "good" if verdict else "bad"


REPORTS = {
    field: re.compile(
        "|".join(
            re.sub(r"\\\{[ntd]\\\}", lambda match: r"\w+", re.escape(content.split("/", 1)[1]))
            for content in contents
        ),
        re.IGNORECASE,
    )
    for field, contents in CONTENTS.items()
}


def topic(text: str) -> str:
    [report] = fields(text, "text")
    [field] = [field for field, pattern in REPORTS.items() if pattern.search(report)]
    return field


# --- paraphrase --------------------------------------------------------------------------------

OPPOSITE = {x: y for pair in STATES for x, y in (pair, pair[::-1])}


def statement(text: str) -> tuple:
    """What a statement says, in a normal form."""
    text = first_small(text).removeprefix("it is true that ")
    if " than " in text:
        return comparison(text)
    match = re.fullmatch(r"(the \w+) is (not )?(\w+)", text)
    if match and match[3] in OPPOSITE:
        return match[1], OPPOSITE[match[3]] if match[2] else match[3]
    gives = (
        (rf"({NAME}) gave ({NAME}) (an? \w+)", (1, 3, 2)),
        (rf"({NAME}) gave (an? \w+) to ({NAME})", (1, 2, 3)),
        (rf"({NAME}) got (an? \w+) from ({NAME})", (3, 2, 1)),
        (rf"({NAME}) was given (an? \w+) by ({NAME})", (3, 2, 1)),
    )
    for pattern, order in gives:
        if match := re.fullmatch(pattern, text):
            return tuple(match[n] for n in order)
    return claim(text)


def question(text: str) -> tuple:
    """What a question asks, in a normal form."""
    if match := re.fullmatch(r"Is it (true|false) that (the \w+) is (\w+)\?", text):
        return match[2], match[3] if match[1] == "true" else OPPOSITE[match[3]]
    if match := re.fullmatch(r"Is (the \w+) (\w+)\?", text):
        return match[1], match[2]
    if match := re.fullmatch(rf"Is ({NAME}) (\w+ than {NAME})\?", text):
        return comparison(f"{match[1]} is {match[2]}")
    gifts = (
        (rf"Who gave ({NAME}) (an? \w+)\?", "giver", (1, 2)),
        (rf"From whom did ({NAME}) get (an? \w+)\?", "giver", (1, 2)),
        (rf"By whom was ({NAME}) given (an? \w+)\?", "giver", (1, 2)),
        (rf"Who got (an? \w+) from ({NAME})\?", "getter", (2, 1)),
        (rf"To whom did ({NAME}) give (an? \w+)\?", "getter", (1, 2)),
        (rf"Whom did ({NAME}) give (an? \w+)\?", "getter", (1, 2)),
    )
    for pattern, role, order in gifts:
        if match := re.fullmatch(pattern, text):
            return role, *(match[n] for n in order)
    return parse(text, ASKS)


def mrpc(text: str) -> str:
    one, two = fields(text, "sentence1", "sentence2")
    return "agree" if statement(one) == statement(two) else "differ"


def qqp(text: str) -> str:
    one, two = fields(text, "question1", "question2")
    return "repeated" if question(one) == question(two) else "new"
