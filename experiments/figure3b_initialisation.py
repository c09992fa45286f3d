"""Figure 3b: the prompt starts from random numbers, sampled vocabulary or the class labels.

Command: `prompt-tuning sweep figure3b_initialisation`; `--setting pocket` is the miniature.
Cost: 360 runs of 30,000 steps, of which 120 are Figure 1's.
The paper found: class labels do best, random worst, and the differences vanish at XXL.
Expect (small to XXL): uniform 56.2 47.1 67.05 60.1 89.7; vocabulary 59.3 64.2 74.1 82.4 87.5; class
labels 58.5 63.75 75.8 80.3 89.5. The paper's text says [-0.5, 0.5], its code draws from [0, 0.5):
`prompt.init=uniform_released` is the latter.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import INITIALISATION

FIGURE = INITIALISATION
KINDS = ("uniform", "vocabulary", "class_labels")


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return [run for seed in real.SEEDS for run in pocket.initialisations(seed)]
    return [
        real.prompt(task, size, seed, prompt={"init": kind})
        for size in real.SIZES
        for task in real.SUITE
        for kind in KINDS
        for seed in real.SEEDS
    ]
