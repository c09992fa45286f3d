"""Figure 1: SuperGLUE score against the size of the frozen model, four ways to use it.

Command: `prompt-tuning sweep figure1_scale`; `--setting pocket` is the miniature.
Cost: 415 runs: 120 of prompt tuning, 120 of model tuning, 15 on the mixture, and 160 evaluations
of prompt design.
On the authors' hardware (16 TPU v3 chips) one XXL prompt of 100 rows took about four hours (Table
5). The paper found: prompt tuning trails model tuning up to XL and matches it at XXL.
Expect (mean of 3, small to XXL): prompt 58.5 63.7 75.8 80.3 89.95; model 62.8 73.75 81.3 83.0 89.9;
multi-task 63.4 77.3 85.35 87.95 90.1; deviations 0.3 to 3.4. A run within 2 deviations agrees.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import SCALE

FIGURE = SCALE


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return pocket.runs("pocket")
    found = []
    for size in real.SIZES:
        for task in real.SUITE:
            found += real.designs(task, size)
            for seed in real.SEEDS:
                found += [real.prompt(task, size, seed), real.model(task, size, seed)]
        found += [real.multitask(size, seed) for seed in real.SEEDS]
    return found
