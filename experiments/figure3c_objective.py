"""Figure 3c: frozen models pre-trained by span corruption alone, the same with a sentinel before
the targets, as in their pre-training, and LM-adapted models.

Command: `prompt-tuning sweep figure3c_objective`; `--setting pocket` is the miniature.
Cost: 360 runs of 30,000 steps: 120 of each kind, of which those of LM adaptation are Figure 1's.
The paper found: without adaptation the middle sizes never learn to write a legal label.
Expect (small to XXL): span corruption 51.4 8.0 8.2 7.95 82.8; with a sentinel before the targets
48.7 7.9 37.2 16.45 75.7; LM adaptation 58.5 63.75 75.8 80.3 89.7. The wide bands at 0 % legal
labels make single runs at these sizes uncertain.
"""

import dataclasses

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import OBJECTIVE

FIGURE = OBJECTIVE


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        every = [run for seed in real.SEEDS for run in pocket.adaptations(seed)]
        bare = [run for run in every if run.model.endswith("@0")]
        marked = [dataclasses.replace(run, sentinel=True) for run in bare]
        return [*(run for run in every if "@" not in run.model), *bare, *marked]
    found = []
    for size in real.SIZES:
        for task in real.SUITE:
            for seed in real.SEEDS:
                found.append(real.prompt(task, size, seed))
                bare = real.prompt(task, size, seed, model=real.unadapted(size))
                found += [bare, dataclasses.replace(bare, sentinel=True)]
    return found
