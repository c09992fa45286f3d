"""Section 7: the vocabulary items nearest to the rows of trained prompts.

Command: `prompt-tuning sweep section7_neighbours`; `--setting pocket` is the miniature. Each run's
directory gets `neighbours.json`: the five nearest by cosine, dot product and Euclidean distance;
rows that share their nearest (clusters); how alike neighbours are, beside those of random vectors;
which pieces of the class labels are among them.
Cost: 24 runs of 30,000 steps on XXL, 8 of them Figure 1's; the reading takes seconds.
The paper found: neighbours form tight clusters, those of random vectors do not; class labels
persist where the prompt started from them, and appear under other initialisations too; many rows of
long prompts share their nearest. It gives no number.
Expect: tightness well above that of random vectors; labels that persist in most rows they started.
"""

from collections.abc import Sequence

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.evaluations import Reading

KINDS = ("class_labels", "vocabulary", "uniform")


def runs(setting: str = "paper") -> list[pt.Run]:
    small = real.miniature(setting)
    study = pocket if small else real
    sizes = pocket.SIZES if small else ("xxl",)
    tasks = pocket.TASKS if small else real.SUITE
    return [
        study.prompt(task, size, prompt={"init": kind})
        for size in sizes
        for task in tasks
        for kind in KINDS
    ]


def evaluations(runs: Sequence[pt.Run]) -> list[Reading]:
    """Every prompt is read."""
    return [Reading(run) for run in runs if run.method == "prompt"]
