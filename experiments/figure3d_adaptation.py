"""Figure 3d: frozen models after 0, 10, 50 and 100 thousand steps of LM adaptation.

Command: `prompt-tuning sweep figure3d_adaptation`; `--setting pocket` is the miniature.
Cost: 480 runs of 30,000 steps, of which 240 are Figure 3c's. The checkpoints of 10 and 50 thousand
steps are not published: make them with `prompt-tuning pretrain --objective prefix_lm` (the command
is in docs/pocket.md), and name their folders `models/t5-SIZE-lm10k` and `models/t5-SIZE-lm50k`.
The paper found: longer adaptation helps every size up to 100,000 steps.
Expect (small to XXL): 0: 51.4 8.0 8.2 7.95 82.8; 10K: 52.8 58.1 42.0 55.4 82.0; 50K: 57.3 60.5 74.3
73.1 86.3; 100K: 58.5 63.75 75.8 80.3 89.8.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import ADAPTATION

FIGURE = ADAPTATION


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return [run for seed in real.SEEDS for run in pocket.adaptations(seed)]
    found = []
    for size in real.SIZES:
        made = [f"models/t5-{size}-lm{steps}k" for steps in (10, 50)]
        for model in (real.unadapted(size), *made, real.adapted(size)):
            for task in real.SUITE:
                found += [real.prompt(task, size, seed, model=model) for seed in real.SEEDS]
    return found
