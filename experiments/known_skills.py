"""What the frozen pocket models answer before any tuning, in the words of their own language.

Command: `python experiments/known_skills.py`. Cost: a minute on two CPU cores. Not in the paper.
A prompt calls up what a frozen model knows. So before a task says anything about prompts, its skill
is looked for in the form that the models were pre-trained on: a text and the beginning of the
sentence that judges it, completed by the likeliest of the words that are possible.
Expect: topics are known from `b` on, claims partly; contrasts a little at `l`; of negated reviews
no size is right more often than chance (50 %), so no prompt can be asked for them.
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from experiments import pocket
from prompt_tuning.evaluation.inference import score_label_ids
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.tasks.pocket import beliefs, frames, opinions, topics
from prompt_tuning.tasks.pocket.text import dice

SEED = 5  # of other texts than the models have read
Case = tuple[str, str, str]  # text, the word that completes it, level


def topic(n: int) -> Case:
    roll = dice(SEED, n)
    answer = roll.pick(topics.TOPICS)
    return f"{topics.report(roll, answer, 1 + n % 3).text} Topic:", answer, "all"


def claim(n: int) -> Case:
    roll, level = dice(SEED, n), 1 + n % 3
    verdict = roll.pick((True, False, None))
    item = beliefs.belief(roll, verdict, level)
    text = f"{item.premise} And is it so that {frames.clause(item.claim)}? We can say:"
    levels = "plain", "denied fact", "denied stance"
    return text, f"{beliefs.VERDICTS[verdict]}.", levels[level - 1]


def review(n: int) -> Case:
    roll, level = dice(SEED, n), 1 + n % 4
    good = roll.chance(0.5)
    text = f"{opinions.review(roll, good, level).text} Verdict:"
    return text, opinions.VERDICTS[good], ("plain", "negation", "contrast", "both")[level - 1]


SKILLS: dict[str, tuple[Callable[[int], Case], tuple[str, ...]]] = {
    "pocket/topic": (topic, topics.TOPICS),
    "pocket/cb": (claim, tuple(f"{word}." for word in beliefs.VERDICTS.values())),
    "pocket/sst2": (review, opinions.VERDICTS),
}


def known(t5: FrozenT5, skill: str, count: int) -> dict[str, float]:
    """The percentage of right answers at each level."""
    make, answers = SKILLS[skill]
    cases = [make(n) for n in range(count)]
    eos = [t5.config.eos_id]
    rows = [ids + eos for ids in t5.tokenizer.encode_batch([text for text, _, _ in cases])]
    labels = [ids + eos for ids in t5.tokenizer.encode_batch(list(answers))]
    chosen = np.argmax(score_label_ids(t5, rows, labels), axis=1)
    right = defaultdict(list)
    for (_, answer, level), n in zip(cases, chosen, strict=True):
        right[level].append(answers[n] == answer)
    return {level: 100 * float(np.mean(values)) for level, values in right.items()}


def main(count: int = 1200) -> None:
    print(f"{'':<12}{'':<15}" + "".join(f"{size:>6}" for size in pocket.SIZES))
    models = [load_t5(f"pocket:{size}") for size in pocket.SIZES]
    for skill in SKILLS:
        found = [known(t5, skill, count) for t5 in models]
        for level in found[0]:
            values = "".join(f"{shares[level]:6.0f}" for shares in found)
            print(f"{skill:<12} {level:<14}{values}", flush=True)


if __name__ == "__main__":
    main()
