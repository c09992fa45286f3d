"""Table 2: a prompt for one paraphrase task answers the other, QQP and MRPC.

Command: `prompt-tuning sweep table2_transfer`; `--setting pocket` is the miniature.
Cost: 12 runs of 30,000 steps on XXL, and 12 evaluations.
The paper found: from QQP to MRPC prompts beat model tuning by 3.2 points of accuracy; the other way
they are even. Answers are read in the words of the task trained on (duplicate for equivalent).
Expect (model / prompt, accuracy, F1): QQP to MRPC 73.1 / 76.3, 81.2 / 84.3; MRPC to QQP 74.9 /
75.4, 70.9 / 69.7; deviations 0.1 to 2.1.
"""

from collections.abc import Sequence

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.evaluations import Elsewhere
from prompt_tuning.sweep.figures import TRANSFER

TABLE = TRANSFER
TARGETS = {
    "glue/qqp": "glue/mrpc_from_qqp",
    "glue/mrpc": "glue/qqp_from_mrpc",
    "pocket/qqp": "pocket/mrpc_from_qqp",
    "pocket/mrpc": "pocket/qqp_from_mrpc",
}


def runs(setting: str = "paper") -> list[pt.Run]:
    small = real.miniature(setting)
    study = pocket if small else real
    sizes = pocket.SIZES if small else ("xxl",)
    suite = "pocket" if small else "glue"
    return [
        make(f"{suite}/{task}", size, seed)
        for size in sizes
        for task in ("qqp", "mrpc")
        for make in (study.prompt, study.model)
        for seed in real.SEEDS
    ]


def evaluations(runs: Sequence[pt.Run]) -> list[Elsewhere]:
    """Every run on the other task; checkpoints are chosen on the own one."""
    return [Elsewhere(run, TARGETS[run.task]) for run in runs if run.task in TARGETS]
