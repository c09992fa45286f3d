"""What the frozen pocket models answer before any tuning, in the words of their own language.

Command: `python experiments/known_skills.py`. Cost: a minute on two CPU cores. Not in the paper.
A prompt calls up what a frozen model knows. So before a task says anything about prompts, its skill
is looked for in the form that the models were pre-trained on: a text of the task's dev split and
the beginning of a sentence about it, completed by the likeliest of the words that are possible.
Expect: topics are known at `xs`, verdicts and senses from `s` on, matching two texts from `b` on.
`xs@3000` ... are the models before their lessons.
"""

import argparse
from collections import defaultdict

import numpy as np

from experiments import pocket
from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.inference import score_label_ids
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.tasks.base import Task
from prompt_tuning.tasks.pocket import frames, suite
from prompt_tuning.tasks.pocket.source import level_of

# Task -> the text with the beginning of the sentence to complete, and the names of its levels.
SKILLS: dict[str, tuple[Task, str, tuple[str, ...]]] = {
    "pocket/topic": (suite.TOPIC, "{text} Topic:", ("two sentences", "one", "by another")),
    "pocket/cb": (
        suite.CB,
        "{premise} And is it so that {clause}? We can say:",
        ("plain", "denied fact", "denied stance"),
    ),
    "pocket/sst2": (
        suite.SST2,
        "{sentence} Verdict:",
        ("plain", "negation", "contrast", "both"),
    ),
    "pocket/rte": (
        suite.RTE,
        "{premise} Certain or doubtful? {hypothesis}",
        ("kinds", "negation", "chains"),
    ),
    "pocket/qqp": (
        suite.QQP,
        "{question1} {question2} New or repeated?",
        ("wording", "opposites", "who gives"),
    ),
    "pocket/mrpc": (
        suite.MRPC,
        "{sentence1} {sentence2} Agree or differ?",
        ("wording", "opposites", "who gives"),
    ),
    "pocket/wic": (
        suite.WIC,
        "{sentence1} {sentence2} Same or different? {word}:",
        ("more in common", "only the word"),
    ),
    "pocket/boolq": (
        suite.BOOLQ,
        "{passage} Yes or no? {question}",
        ("one fact or two", "another's value", "two steps"),
    ),
    "pocket/multirc": (
        suite.MULTIRC,
        "{paragraph} {question} {answer}, true or false?",
        ("what is told", "of two people", "what is true"),
    ),
    "pocket/copa": (
        suite.COPA,
        "{premise} What is the {question}? The first: {choice1} The second: {choice2} It is the",
        ("another scene", "same scene", "same chain"),
    ),
}
Case = tuple[str, str, str]  # text, the word that completes it, level


def cases(skill: str, count: int | None = None) -> list[Case]:
    """The dev examples of a task (the first `count`) in the words of the language."""
    task, form, levels = SKILLS[skill]
    found = []
    rows = []
    for row in task.source.rows("validation"):  # of several answers, a row for each
        rows += [{**row, "answer": answer} for answer, _ in row.get("answers", [("", "")])]
    for row, example in zip(rows, task.load("validation")[:count], strict=False):
        clause = frames.clause(row["hypothesis"]) if "hypothesis" in row else ""
        level = levels[level_of(example) - 1]
        found.append((form.format(**row, clause=clause), example.target, level))
    return found


def known(t5: FrozenT5, skill: str, count: int | None = None) -> dict[str, float]:
    """The percentage of right answers at each level."""
    answers, asked = SKILLS[skill][0].labels, cases(skill, count)
    eos = [t5.config.eos_id]
    rows = [ids + eos for ids in t5.tokenizer.encode_batch([text for text, _, _ in asked])]
    labels = [ids + eos for ids in t5.tokenizer.encode_batch(list(answers))]
    chosen = np.argmax(score_label_ids(t5, rows, labels), axis=1)
    right = defaultdict(list)
    for (_, answer, level), n in zip(asked, chosen, strict=True):
        right[level].append(answers[n] == answer)
    return {level: 100 * float(np.mean(values)) for level, values in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(pocket.SIZES), help="xs, xs@3000 ...")
    names = parser.parse_args().models
    try:
        models = [load_t5(f"pocket:{name}") for name in names]
    except UserError as error:
        parser.error(str(error))
    print(f"{'':<13}{'':<16}" + "".join(f"{name:>8}" for name in names))
    for skill in SKILLS:
        found = [known(t5, skill) for t5 in models]
        for level in found[0]:
            values = "".join(f"{shares[level]:8.0f}" for shares in found)
            print(f"{skill:<12} {level:<16}{values}", flush=True)


if __name__ == "__main__":
    main()
