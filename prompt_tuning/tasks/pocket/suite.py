"""The pocket suite: tasks in the pocket language, each named after the one it mirrors.

Inputs have T5's fields, answers are words that the language knows. Levels grade each task, so that
its examples become solvable at different model sizes. No content of one split is in another: facts,
sentences or events, whichever the task is about (`Made.keys`).
"""

import dataclasses
import functools

from prompt_tuning.tasks import formats, scoring
from prompt_tuning.tasks.base import Example, Measure, Row, Task
from prompt_tuning.tasks.pocket import reading
from prompt_tuning.tasks.pocket.beliefs import belief
from prompt_tuning.tasks.pocket.entailment import inference
from prompt_tuning.tasks.pocket.events import CHAINS, SCENES
from prompt_tuning.tasks.pocket.opinions import VERDICTS, opening, review
from prompt_tuning.tasks.pocket.paraphrase import questions, statements
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.senses import PAIRS, use
from prompt_tuning.tasks.pocket.source import SIZES, Made, PocketSource, divided
from prompt_tuning.tasks.pocket.text import Dice, sentence
from prompt_tuning.tasks.pocket.topics import CONTENTS, TOPICS, report

DOMAINS = (("people", "buildings", "stories"), (0.6, 0.2, 0.2))
BELIEFS = {"true": True, "false": False, "unknown": None}
MRPC_LABELS, QQP_LABELS = ("differ", "agree"), ("new", "repeated")


def _boolq(dice: Dice, label: str, level: int) -> Made:
    """Level 1: one fact or two. 2: somebody else has the value asked for. 3: two steps, counts."""
    item = reading.asked(dice, level, dice.sized(*DOMAINS))
    value = item.answer if label == "yes" else reading.opposite_value(dice, item)
    fields = {"passage": item.passage, "question": item.check.format(v=value)}
    return Made(fields, (item.key,), {"facts": item.facts, "goal": item.goal, "value": value})


def _cb(dice: Dice, label: str, level: int) -> Made:
    """Level 1: a stance to a fact. 2: with a denied fact. 3: with a denied stance as well."""
    item = belief(dice, BELIEFS[label], level)
    return Made({"premise": item.premise, "hypothesis": item.claim}, (item.key,), item.logic)


def _rte(dice: Dice, label: str, level: int) -> Made:
    """Level 1: kinds and details. 2: negation, quantifiers, "or". 3: knowledge and chains."""
    item = inference(dice, label == "certain", level)
    return Made({"premise": item.premise, "hypothesis": item.hypothesis}, (item.key,), item.logic)


def topic_splits() -> dict[str, str]:
    """The sentences of each field, divided."""
    splits = {}
    for keys in CONTENTS.values():
        splits |= divided("topic", keys)
    return splits


def _copa(dice: Dice, label: str, level: int) -> Made:
    """The wrong event is of another scene (level 1), of the same (2), of the same chain (3)."""
    scene, cause = dice.pick(SCENES), dice.chance(0.5)
    right = dice.pick(CHAINS[scene])
    given = 1 if level == 3 else dice.below(2) + cause
    answer = given - 1 if cause else given + 1
    if level == 3:
        wrong, step = right, 2 - answer
    else:
        other = scene if level == 2 else dice.other(SCENES, scene)
        wrong, step = dice.other(CHAINS[other], right), answer
    name = dice.pick(NAMES)
    premise = right[given].told(dice.below(2), name)
    pronoun = name in premise and dice.chance(0.5)
    choices = [
        sentence(event.told(dice.below(2), name, pronoun)) for event in (right[answer], wrong[step])
    ]
    first, second = choices if label == "first" else choices[::-1]
    fields = {
        "choice1": first,
        "choice2": second,
        "premise": sentence(premise),
        "question": "cause" if cause else "effect",
    }
    # What happens and why is knowledge, as kinds are: what is held out is what is asked of it.
    asked = [event.key for event in (right[given], right[answer], wrong[step])]
    return Made(fields, (" ".join(asked),), {"given": asked[0], "answer": asked[1]})


def _multirc(dice: Dice, label: str, level: int) -> Made:
    """Level 1: what is told of one. 2: which things of two people are one's. 3: what is true."""
    if level == 1:
        item = reading.told_or_not(dice)
    else:
        item = reading.many_answers(dice, 2 if level == 2 else dice.pick((1, 3)))
    fields = {
        "paragraph": item.passage,
        "question": item.question,
        "answers": [[text, "true" if truth else "false"] for text, truth in item.answers],
    }
    return Made(fields, (item.key,), {"facts": item.facts})


def _wic(dice: Dice, label: str, level: int) -> Made:
    """Level 1: two uses in the same sense share more than the word. 2: only the word."""
    sense, other = dice.mixed(dice.pick(PAIRS))
    names = dice.some(NAMES, 2)
    while True:
        one = use(dice, sense, names[0])
        two = use(dice, sense if label == "same" else other, names[1])
        if label == "different" or (one.shares(two) == (level == 1) and one.key != two.key):
            break
    fields = {"sentence1": one.text, "sentence2": two.text, "word": sense.word}
    return Made(fields, (one.key, two.key), {"glosses": [one.sense.gloss, two.sense.gloss]})


def _sst2(dice: Dice, label: str, level: int) -> Made:
    """Level 1: plain. 2: negation. 3: contrast. 4: both."""
    item = review(dice, label == "good", level)
    text = item.text
    if dice.chance(0.3):
        text = f"{opening(dice, item.item)} {text}"
    return Made({"sentence": text}, (item.key,), {"level": item.level})


def _topic(dice: Dice, label: str, level: int) -> Made:
    """Level 1: two sentences. 2: one. 3: one, with somebody of another field in it."""
    item = report(dice, label, level)
    return Made({"text": item.text}, item.keys, {})


def _mrpc(dice: Dice, label: str, level: int) -> Made:
    """Level 1: other words. 2: opposites. 3: who gives and who gets."""
    pair = statements(dice, label == "agree", level)
    fields = {"sentence1": pair.one, "sentence2": pair.two}
    return Made(fields, tuple(dict.fromkeys(pair.meanings)), {"meanings": pair.meanings})


def _qqp(dice: Dice, label: str, level: int) -> Made:
    """As MRPC, of questions."""
    pair = questions(dice, label == "repeated", level)
    fields = {"question1": pair.one, "question2": pair.two}
    return Made(fields, tuple(dict.fromkeys(pair.meanings)), {"meanings": pair.meanings})


def _qa(dice: Dice, label: str, level: int, *, domain: str) -> Made:
    """An answer that stands in the context; levels as BoolQ's."""
    item = reading.asked(dice, level, domain, counts=False)
    fields = {"question": item.question, "context": item.passage, "answer": item.answer}
    return Made(fields, (item.key,), {"facts": item.facts, "goal": item.goal})


def _format_multirc(row: Row, training: bool) -> list[Example]:
    """One example per answer of a question."""
    return [
        Example(
            id=f"{row['idx']}/{number}",
            input=f"question: {row['question']} answer: {text} paragraph: {row['paragraph']}",
            target=target,
            group=row["idx"],
        )
        for number, (text, target) in enumerate(row["answers"])
    ]


def _format_qa(row: Row, training: bool) -> list[Example]:
    """SQuAD's fields. Punctuation stays as the language has it: T5 puts spaces round it."""
    text = f"question: {row['question']} context: {row['context']}"
    return [Example(row["idx"], text, row["answer"], answers=(row["answer"],))]


def _classes(
    source: PocketSource, fields: tuple[str, ...], measure: Measure = scoring.accuracy
) -> Task:
    return Task(
        name=f"pocket/{source.name}",
        source=source,
        format=functools.partial(formats.classification, fields=fields),
        measure=measure,
        labels=source.labels,
        prompt_words=source.labels,
        prefix=source.name,
    )


def _questions(name: str, domain: str, splits: tuple[str, ...]) -> Task:
    make = functools.partial(_qa, domain=domain)
    return Task(
        name=f"pocket/{name}",
        source=PocketSource(name, (), (1, 2, 3), make, splits=splits),
        format=_format_qa,
        measure=scoring.question_answering,
        prompt_words=("reading", "question", "answer", "text"),
        select=("f1",),
    )


BOOLQ = _classes(PocketSource("boolq", ("no", "yes"), (1, 2, 3), _boolq), ("passage", "question"))
CB = _classes(
    PocketSource("cb", tuple(BELIEFS), (1, 2, 3), _cb),
    ("hypothesis", "premise"),
    scoring.mean_f1_and_accuracy,
)
COPA = _classes(
    PocketSource("copa", ("first", "second"), (1, 2, 3), _copa),
    ("choice1", "choice2", "premise", "question"),
)
MULTIRC = Task(
    name="pocket/multirc",
    source=PocketSource("multirc", (), (1, 2, 3), _multirc, answers=4),
    format=_format_multirc,
    measure=scoring.multirc,
    labels=("false", "true"),
    prompt_words=("false", "true"),
    prefix="multirc",
)
RTE = _classes(
    PocketSource("rte", ("certain", "doubtful"), (1, 2, 3), _rte), ("hypothesis", "premise")
)
WIC = _classes(
    PocketSource("wic", ("different", "same"), (1, 2), _wic), ("sentence1", "sentence2", "word")
)
SST2 = _classes(PocketSource("sst2", VERDICTS, (1, 2, 3, 4), _sst2), ("sentence",))
TOPIC = _classes(PocketSource("topic", TOPICS, (1, 2, 3), _topic, owners=topic_splits), ("text",))
MRPC = _classes(
    PocketSource("mrpc", MRPC_LABELS, (1, 2, 3), _mrpc),
    ("sentence1", "sentence2"),
    scoring.f1_and_accuracy,
)
QQP = _classes(
    PocketSource("qqp", QQP_LABELS, (1, 2, 3), _qqp),
    ("question1", "question2"),
    scoring.f1_and_accuracy,
)
# Domain shift: trained on people, evaluated on buildings and on stories as well.
SQUAD = _questions("squad", "people", tuple(SIZES))
TEXTBOOKQA = _questions("textbookqa", "buildings", ("validation", "test"))
DUORC = _questions("duorc", "stories", ("validation", "test"))


def _in_words_of(output: str, given: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """An answer in the words of one task in those of the other."""
    return dict(zip(given, wanted, strict=True)).get(output, output)


def _transfer(task: Task, name: str, labels: tuple[str, ...], fields: tuple[str, ...]) -> Task:
    """The task with the labels of another, whose prompt answers it; its own words count too."""
    own = task.labels
    rename = dict(zip(own, labels, strict=True))
    return dataclasses.replace(
        task,
        name=name,
        format=functools.partial(formats.classification, fields=fields, rename=rename),
        labels=labels,
        prompt_words=labels,
        postprocess=functools.partial(_in_words_of, given=own, wanted=labels),
    )


MRPC_FROM_QQP = _transfer(MRPC, "pocket/mrpc_from_qqp", QQP_LABELS, ("sentence1", "sentence2"))
QQP_FROM_MRPC = _transfer(QQP, "pocket/qqp_from_mrpc", MRPC_LABELS, ("question1", "question2"))

TASKS = (
    *(BOOLQ, CB, COPA, MULTIRC, RTE, WIC, SST2, TOPIC, MRPC, QQP, SQUAD, TEXTBOOKQA, DUORC),
    *(MRPC_FROM_QQP, QQP_FROM_MRPC),
)
