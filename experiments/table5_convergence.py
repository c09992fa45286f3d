"""Table 5: how long BoolQ trains until it is within 1 % of its setting's mean score.

Command: `prompt-tuning sweep table5_convergence`; `--setting pocket` is the miniature, on topics.
Cost: 60 runs of 30,000 steps, of which 45 are Figure 3a's, 15 of these Figure 1's too.
The paper found: longer prompts and larger models take longer. Its times are those of its TPUs; a
report counts steps, and minutes of the accelerator that was used.
Expect (minutes, small to XXL): 50 rows: 9 55 74 150 193; 100 rows: 16 30 84 215 231.
"""

import prompt_tuning as pt
from experiments import pocket, real

LENGTHS = (1, 20, 50, 100)
EVALUATIONS = 10  # of the miniature, whose runs are otherwise scored once


def runs(setting: str = "paper") -> list[pt.Run]:
    grid = [(length, seed) for length in LENGTHS for seed in real.SEEDS]
    if real.miniature(setting):
        return [
            pocket.prompt(
                "pocket/topic", size, seed, length=n, eval_every=tuned.prompt_steps // EVALUATIONS
            )
            for size, tuned in pocket.SIZES.items()
            for n, seed in grid
        ]
    return [
        real.prompt("super_glue/boolq", size, seed, length=n)
        for size in real.SIZES
        for n, seed in grid
    ]
