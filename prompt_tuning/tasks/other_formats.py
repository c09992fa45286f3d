"""T5's text forms of tasks that the paper does not use, for users who train on them."""

import re

from prompt_tuning.tasks.base import Example, Row
from prompt_tuning.tasks.formats import pad_punctuation


def trivia_qa(row: Row, training: bool) -> list[Example]:
    """One example per context and per alias of the answer that occurs in it, case ignored."""
    question = pad_punctuation(row["question"])
    contexts = [pad_punctuation(text) for text in row["entity_pages"]["wiki_context"]]
    aliases = [pad_punctuation(text) for text in row["answer"]["normalized_aliases"]]
    pairs = [(c, a) for c in contexts for a in aliases if a.lower() in c.lower()]
    return [
        Example(
            id=f"{row.get('question_id', '')}/{number}",
            input=re.sub(" +", " ", f"question: {question} context: {context}"),
            target=alias,
            answers=tuple(aliases),
        )
        for number, (context, alias) in enumerate(pairs)
    ]


def span_answer(context: str, answer: str) -> str:
    """ "start: 2 end: 3", the word positions of an answer in a context, or "" if it is not there.

    Words end at every character that is no ASCII letter, digit or underscore. As in T5, an answer
    that ends the context without a character after it is not found.
    """
    words, wanted = (re.sub("[^0-9A-Za-z_]", " ", text).split(" ") for text in (context, answer))
    for start in range(len(words) - len(wanted)):
        if words[start : start + len(wanted)] == wanted:
            return f"start: {start} end: {start + len(wanted) - 1}"
    return ""


def translate(source_name: str, target_name: str, text: str) -> str:
    """The input of a translation; languages by their English names."""
    return f"translate {source_name} to {target_name}: {text}"


def summarize(text: str) -> str:
    """The input of a summary."""
    return f"summarize: {text}"
