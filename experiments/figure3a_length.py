"""Figure 3a: prompt length 1, 5, 20, 100, 150.

Command: `prompt-tuning sweep figure3a_length`; `--setting pocket` is the miniature.
Cost: 600 runs of 30,000 steps, of which 120 are Figure 1's.
The paper found: XXL does well with one row; beyond 20 rows little is gained; 150 may be worse.
Expect (XXL, lengths 1 to 150): 82.55 89.0 89.1 89.85 85.8; small: 46.6 50.6 57.0 58.5 58.85.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import LENGTH, LENGTH_BY_SIZE

FIGURES = (LENGTH, LENGTH_BY_SIZE)
LENGTHS = (1, 5, 20, 100, 150)


def runs(setting: str = "paper") -> list[pt.Run]:
    small = real.miniature(setting)
    study = pocket if small else real
    tasks = pocket.TASKS if small else real.SUITE
    return [
        study.prompt(task, size, seed, length=length)
        for size in study.SIZES
        for task in tasks
        for length in LENGTHS
        for seed in real.SEEDS
    ]
