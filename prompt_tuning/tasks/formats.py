"""T5's text formats, byte for byte (paper appendix A.3; checked against T5's published cases).

Each takes a row and whether the training form is wanted, and gives the row's examples without the
task name in front (`Task.load` adds it). Word and space classes are RE2's, hence ASCII.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping

import numpy as np

from prompt_tuning.tasks.base import UNLABELLED, Example, Row


def classification(
    row: Row, training: bool, *, fields: tuple[str, ...], rename: Mapping[str, str] | None = None
) -> list[Example]:
    """`field: text` pairs in the given order (T5 sorts them by name); the label is the target.

    `rename` maps the row's labels to another data set's (transfer between QQP and MRPC).
    """
    target = _label(row)
    target = rename.get(target, target) if rename else target
    return [Example(id=str(row["idx"]), input=_pairs(row, fields), target=target)]


def _pairs(row: Row, fields: tuple[str, ...]) -> str:
    return " ".join(f"{field}: {row[field]}" for field in fields)


def _label(row: Row) -> str:
    label = row["label"]
    return UNLABELLED if label is None else str(label)


def broad_diagnostic(row: Row, training: bool) -> list[Example]:
    """AX-b in RTE's form: its sentences become premise and hypothesis."""
    text = f"hypothesis: {row['sentence2']} premise: {row['sentence1']}"
    return [Example(id=str(row["idx"]), input=text, target=_label(row))]


def gender_diagnostic(row: Row, training: bool) -> list[Example]:
    """AX-g in RTE's form; two consecutive rows are a pair that differs in the pronoun only."""
    text = _pairs(row, ("hypothesis", "premise"))
    pair = str(int(row["idx"]) // 2)
    return [Example(id=str(row["idx"]), input=text, target=_label(row), group=pair)]


def multirc(row: Row, training: bool) -> list[Example]:
    """One example per candidate answer; line-break tags become spaces, bold tags vanish."""
    text = _pairs(row, ("question", "answer", "paragraph"))
    text = re.sub("</?b>", "", text.replace("<br>", " "))
    question = f"{row['idx']['paragraph']}/{row['idx']['question']}"
    identity = f"{question}/{row['idx']['answer']}"
    return [Example(id=identity, input=text, target=_label(row), group=question)]


def record(row: Row, training: bool) -> list[Example]:
    """Training: one example per gold answer. Evaluation: one per query, knowing all answers."""
    passage = re.sub("([.?!\"'])\n@highlight\n", r"\1 ", row["passage"])
    passage = passage.replace("\n@highlight\n", ". ")
    # In tensorflow-datasets' order; Hugging Face's script keeps that of a set.
    entities = ", ".join(sorted(row["entities"]))
    text = f"query: {row['query']} entities: {entities} passage: {passage}"
    query = f"{row['idx']['passage']}/{row['idx']['query']}"
    answers = tuple(row["answers"])
    if not training:
        target = answers[0] if answers else UNLABELLED
        return [Example(query, text, target, answers=answers, group=query)]
    return [
        Example(f"{query}/{number}", text, answer, answers=answers, group=query)
        for number, answer in enumerate(answers)
    ]


def wsc(row: Row, training: bool) -> list[Example]:
    """The text with *pronoun*; the target is the referent. Training uses true referents only."""
    if row["label"] not in (None, "False", "True"):
        raise ValueError(f"the label {row['label']!r} is none of 'False', 'True'")
    label = None if row["label"] is None else int(row["label"] == "True")
    if training and label != 1:
        return []
    text = _mark_pronoun(row["text"], row["span2_text"], int(row["span2_index"]))
    # A withheld label keeps the referent as the target: the submission compares with it.
    withheld = label is None
    return [Example(str(row["idx"]), text, row["span1_text"], label=label, withheld=withheld)]


def _mark_pronoun(text: str, pronoun: str, index: int) -> str:
    words = text.split(" ")
    if index < len(words) and words[index] == pronoun:
        words[index] = f"*{pronoun}*"
        return " ".join(words)
    # Four official rows point at `him,"` or one word too early. T5 rewrote these by hand, with
    # a space between pronoun and punctuation and none at the end; this gives the same bytes.
    for at in sorted(range(len(words)), key=lambda i: (abs(i - index), -i)):
        tail = words[at].removeprefix(pronoun)
        if tail != words[at] and not re.search("[0-9A-Za-z_]", tail):
            words[at] = f"*{pronoun}* {tail}".rstrip()
            return " ".join(words).rstrip()
    raise ValueError(f"the pronoun {pronoun!r} is not a word of {text!r}")


def dpr(row: Row, training: bool) -> list[Example]:
    """Definite pronoun resolution in WSC's form; the first matching pronoun is the one meant."""
    sentence, pronoun = row["sentence"], row["pronoun"]
    text = re.sub(rf" ({re.escape(pronoun)})([ .,])", r" *\1*\2", sentence, count=1)
    # The data set has no ids: one made of the text is the same from every source.
    identity = hashlib.sha256(f"{sentence}\n{pronoun}".encode()).hexdigest()[:16]
    return [Example(identity, text, row["candidates"][int(row["label"])])]


def stsb(row: Row, training: bool) -> list[Example]:
    """The similarity rounded to the nearest fifth, in float32 and half to even, as T5 does."""
    text = _pairs(row, ("sentence1", "sentence2"))
    if row["label"] is None:
        return [Example(str(row["idx"]), text, UNLABELLED)]
    five = np.float32(5)
    score = np.round(np.float32(row["label"]) * five) / five
    return [Example(str(row["idx"]), text, f"{score:.1f}")]


def pad_punctuation(text: str) -> str:
    """Spaces round every character that is no ASCII letter, digit or underscore, then one space."""
    return _one_space(re.sub("([^0-9A-Za-z_])", r" \1 ", text))


def _one_space(text: str) -> str:
    return re.sub("[ \t\n\f\r]+", " ", text)


def squad(row: Row, training: bool) -> list[Example]:
    """Question and context with padded punctuation; the first answer is the target."""
    question, context = pad_punctuation(row["question"]), pad_punctuation(row["context"])
    text = _one_space(f"question: {question} context: {context}")
    answers = tuple(pad_punctuation(answer) for answer in row["answers"])
    target = answers[0] if answers else UNLABELLED
    return [Example(str(row["id"]), text, target, answers=answers)]


def mrqa(row: Row, training: bool) -> list[Example]:
    """As SQuAD; white space is made plain first, and the target is the detected answer.

    The released code wrote these sets to a table and read it back without undoing the quoting, so
    that texts with quotation marks gained more of them; that is not repeated here.
    """
    plain = {name: " ".join(row[name].split()) for name in ("question", "context")}
    answers = [" ".join(answer.split()) for answer in row["answers"]]
    if row["target"] is not None and not answers:
        answers = [" ".join(row["target"].split())]
    [example] = squad({"id": row["id"], "answers": answers} | plain, training)
    if row["target"] is None:
        return [example]
    target = pad_punctuation(" ".join(row["target"].split()))
    return [dataclasses.replace(example, target=target)]
