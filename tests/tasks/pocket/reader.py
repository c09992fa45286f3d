"""Reads passages back into facts and events, and answers what is asked of them.

Only input texts go in; what is known is how a relation can be told, not how rows are made. A text
that cannot be read raises ValueError.
"""

import re

from prompt_tuning.tasks.pocket.people import KIN, PERSONAL
from prompt_tuning.tasks.pocket.places import BUILDINGS, LOCAL
from prompt_tuning.tasks.pocket.relations import NAMES, pronouns
from prompt_tuning.tasks.pocket.text import NUMBERS

NAME = f"(?:{'|'.join(NAMES)})"
KINDS = "|".join(relation.name for relation in KIN)
SUBJECT = rf"(?:(?:{NAME})'s (?:{KINDS})|{NAME}|{'|'.join(BUILDINGS)})"


def first_small(text: str) -> str:
    """A sentence as a clause."""
    text = text.removesuffix(".").removesuffix("?")
    return text if text.startswith(NAMES) else text[0].lower() + text[1:]


def template(text: str, values) -> re.Pattern:
    options = "|".join(sorted(map(re.escape, values), key=len, reverse=True))
    pattern = re.escape(text).replace(r"\{a\}", f"(?P<a>{SUBJECT})")
    return re.compile(pattern.replace(r"\{v\}", f"(?P<v>{options})"))


RELATIONS = (*KIN, *PERSONAL, *LOCAL)
CLAIMS = [
    (template(text, relation.values), relation.name, denied)
    for relation in RELATIONS
    for pair in relation.claims
    for denied, text in enumerate(pair)
]
CHECKS = [
    (template(first_small(text), relation.values), relation.name)
    for relation in RELATIONS
    for text in relation.checks
]
ASKS = [
    (template(first_small(text), relation.values), relation.name)
    for relation in RELATIONS
    for text in relation.asks
]


def claim(text: str) -> tuple[str, str, str, bool]:
    """Subject, relation, value and whether it is denied."""
    for pattern, name, denied in CLAIMS:
        if match := pattern.fullmatch(first_small(text)):
            return match["a"], name, match["v"], bool(denied)
    raise ValueError(f"no claim: {text}")


def parse(text: str, patterns) -> tuple[str, str, str | None]:
    for pattern, name in patterns:
        if match := pattern.fullmatch(first_small(text)):
            return match["a"], name, match.groupdict().get("v")
    raise ValueError(f"cannot read {text}")


def facts(passage: str) -> list[tuple[str, str, str]]:
    """The facts of a passage; a pronoun is the last subject."""
    found, last = [], ""
    for part in re.split(r"(?<=[^,])\. |, (?:but|and|while) ", passage.removesuffix(".")):
        he = pronouns(last) if last else None
        if he:
            start = "^" if he[1] == "its" else r"\b"  # but "opens its doors"
            part = re.sub(rf"{start}(?:{he[1]}|{he[1].capitalize()})\b", f"{last}'s", part)
            part = re.sub(rf"^(?:{he[0]}|{he[0].capitalize()})\b", last, part)
        last, relation, value, denied = claim(part)
        assert not denied
        found.append((last, relation, value))
    return found


def holds(known: list[tuple[str, str, str]], subject: str, relation: str) -> list[str]:
    """The values of a relation, through "Anna's cousin" if need be."""
    if match := re.fullmatch(rf"({NAME})'s ({KINDS})", subject):
        [subject] = holds(known, *match.groups())
    return [value for s, r, value in known if (s, r) == (subject, relation)]


# --- stories -----------------------------------------------------------------------------------


def played(story: str) -> dict[str, str]:
    """Where everybody and everything is in the end, who has what ("has x"), how many of what."""
    place, holder, count, last = {}, {}, {}, ""
    for sentence in story.removesuffix(".").split(". "):
        text = re.sub(r"^(Then|After that|Later) ", "", sentence)
        text = re.sub(r"^(She|He|she|he)\b", last, text)
        who, action = re.match(rf"({NAME}) (.*)", text).groups()
        if match := re.fullmatch(r"(?:went|walked|ran) to (the \w+)", action):
            place[who] = match[1]
            for thing, owner in holder.items():
                if owner == who:
                    place[thing] = match[1]
        elif match := re.fullmatch(r"(?:took|picked up|got) (the \w+)", action):
            holder[match[1]] = who
        elif match := re.fullmatch(r"(?:left|put) (the \w+)(?: down)? in (the \w+)", action):
            place[match[1]] = match[2]
        elif match := re.fullmatch(rf"(?:gave|handed) (the \w+) to ({NAME})", action):
            holder[match[1]] = match[2]
        elif match := re.fullmatch(r"had (\w+) (\w+)", action):
            count[who] = NUMBERS.index(match[1])
        elif match := re.fullmatch(r"found (\w+) more", action):
            count[who] += NUMBERS.index(match[1])
        elif match := re.fullmatch(r"lost (\w+) of them", action):
            count[who] -= NUMBERS.index(match[1])
        elif match := re.fullmatch(rf"gave ({NAME}) (\w+) more", action):
            count[match[1]] += NUMBERS.index(match[2])
        elif match := re.fullmatch(rf"gave (\w+) to (?:{NAME})", action):
            count[who] -= NUMBERS.index(match[1])
        else:
            raise ValueError(f"cannot read {sentence}")
        last = who
    has = {f"has {thing}": who for thing, who in holder.items()}
    return place | has | {who: NUMBERS[n] for who, n in count.items()}


def is_story(passage: str) -> bool:
    verbs = r"(went|walked|ran|took|picked|got|left|put|gave|handed|had) "
    return re.match(rf"(?:{NAME}) {verbs}", passage) is not None


STORY_QUESTIONS = (  # the key of `played`, and the value where one is asked for
    (rf"Where did ({NAME}) go\?", 1, None),
    (rf"Did ({NAME}) go to (the \w+)\?", 1, 2),
    (rf"Does ({NAME}) have (the \w+) now\?", "has", 1),
    (r"Who has (the \w+) now\?", "has", None),
    (r"Where is (the \w+)(?: now)?\?", 1, None),
    (r"Is (the \w+) in (the \w+?)(?: now)?\?", 1, 2),
    (rf"How many \w+ does ({NAME}) have now\?", 1, None),
    (rf"Does ({NAME}) have (\w+) \w+ now\?", 1, 2),
)


def story_answer(passage: str, question: str) -> str:
    """A value, or yes or no."""
    state = played(passage)
    for pattern, key, asked in STORY_QUESTIONS:
        if match := re.fullmatch(pattern, question):
            truth = state[f"has {match.groups()[-1]}"] if key == "has" else state[match[key]]
            return truth if asked is None else ("yes" if match[asked] == truth else "no")
    raise ValueError(f"cannot read {question}")


# --- the tasks ---------------------------------------------------------------------------------


def fields(text: str, *names: str) -> list[str]:
    """The fields of an input, which must be these in this order."""
    match = re.fullmatch(" ".join(f"{name}: (.*)" for name in names), text)
    if not match:
        raise ValueError(f"not the fields {names}: {text}")
    return list(match.groups())


def boolq(text: str) -> str:
    passage, question = fields(text, "passage", "question")
    if is_story(passage):
        return story_answer(passage, question)
    subject, relation, value = parse(question, CHECKS)
    return "yes" if [value] == holds(facts(passage), subject, relation) else "no"


def answer(text: str) -> str:
    question, context = fields(text, "question", "context")
    if is_story(context):
        return story_answer(context, question)
    subject, relation, _ = parse(question, ASKS)
    [value] = holds(facts(context), subject, relation)
    return value


def multirc(text: str) -> str:
    question, given, paragraph = fields(text, "question", "answer", "paragraph")
    known = facts(paragraph)
    if match := re.fullmatch(rf"What do we hear of ({NAME})\?", question):
        return "true" if (match[1], given) in {(who, value) for who, _, value in known} else "false"
    if question.startswith("What is true of"):
        return "true" if claim(given)[:3] in known else "false"
    if match := re.fullmatch(r"Who (.*)\?", question):
        return "true" if claim(f"{given} {match[1]}")[:3] in known else "false"
    subject, relation, _ = parse(question, ASKS)
    return "true" if given in holds(known, subject, relation) else "false"
