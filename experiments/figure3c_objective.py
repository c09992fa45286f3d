"""Figure 3c: frozen models pre-trained by span corruption alone, and LM-adapted.

Command: `prompt-tuning sweep figure3c_objective`; `--setting pocket` is the miniature.
Cost: 240 runs of 30,000 steps, of which 120 are Figure 1's. The sentinel variant is not among them.
The paper found: without adaptation the middle sizes never learn to write a legal label.
Expect (small to XXL): span corruption 51.4 8.0 8.2 7.95 82.8; with a sentinel before the targets
48.7 7.9 37.2 16.45 75.7; LM adaptation 58.5 63.75 75.8 80.3 89.7. The wide bands at 0 % legal
labels make single runs at these sizes uncertain.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import OBJECTIVE

FIGURE = OBJECTIVE


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        every = [run for seed in real.SEEDS for run in pocket.adaptations(seed)]
        return [run for run in every if "@" not in run.model or run.model.endswith("@0")]
    found = []
    for size in real.SIZES:
        for task in real.SUITE:
            for seed in real.SEEDS:
                found.append(real.prompt(task, size, seed))
                found.append(real.prompt(task, size, seed, model=real.unadapted(size)))
    return found
