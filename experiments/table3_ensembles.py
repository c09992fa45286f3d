"""Table 3: five prompts per task on one frozen model, and their majority vote.

Command: `prompt-tuning sweep table3_ensembles`; `--setting pocket` is the miniature.
Cost: 40 runs of 30,000 steps on XXL (24 of them Figure 1's), and 8 evaluations, each of which
answers an example with five prompts in one batch.
The paper found: the vote beats the average of the five on every task, and mostly the best of them.
Expect (mean over SuperGLUE): average 90.5, best 91.0, ensemble 91.3.
"""

import dataclasses
from collections.abc import Sequence

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.evaluations import Ensemble
from prompt_tuning.sweep.figures import ENSEMBLE

TABLE = ENSEMBLE
VOTERS = 5


def runs(setting: str = "paper") -> list[pt.Run]:
    small = real.miniature(setting)
    study = pocket if small else real
    sizes = pocket.SIZES if small else ("xxl",)
    tasks = pocket.TASKS if small else real.SUITE
    return [
        study.prompt(task, size, seed) for size in sizes for task in tasks for seed in range(VOTERS)
    ]


def evaluations(runs: Sequence[pt.Run]) -> list[Ensemble]:
    """One ensemble of the seeds of each recipe."""
    groups: dict[str, list[pt.Run]] = {}
    for run in runs:
        if run.method == "prompt":
            recipe = repr(dataclasses.replace(run, seed=0))
            groups.setdefault(recipe, []).append(run)
    return [Ensemble(tuple(group)) for group in groups.values() if len(group) > 1]
