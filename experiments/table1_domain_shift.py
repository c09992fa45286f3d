"""Table 1: trained on SQuAD, evaluated on questions of other domains without training there.

Command: `prompt-tuning sweep table1_domain_shift`; `--setting pocket` is the miniature (trained on
questions about people, evaluated on buildings and on stories).
Cost: 6 runs of 30,000 steps on XXL, and 36 evaluations.
The paper found: prompts carry over better where the domain is far (TextbookQA +12.5 F1), and equal
to model tuning where it is near.
Expect (F1, model / prompt): SQuAD 94.9 / 94.8, TextbookQA 54.3 / 66.8, BioASQ 77.9 / 79.1, RACE
59.8 / 60.7, RE 88.4 / 88.8, DuoRC 68.9 / 67.7, DROP 68.9 / 67.1; deviations 0.1 to 3.7. The paper
does not name the size; these values are XXL's.
"""

from collections.abc import Sequence

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.evaluations import Elsewhere
from prompt_tuning.sweep.figures import DOMAIN_SHIFT

TABLE = DOMAIN_SHIFT
TARGETS = {
    "squad": (
        *("mrqa/textbookqa", "mrqa/bioasq", "mrqa/race", "mrqa/relation_extraction"),
        *("mrqa/duorc", "mrqa/drop"),
    ),
    "pocket/squad": ("pocket/textbookqa", "pocket/duorc"),
}


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return [
            make("pocket/squad", size, seed)
            for size in pocket.SIZES
            for make in (pocket.prompt, pocket.model)
            for seed in real.SEEDS
        ]
    # Answers are free text: there are no class labels to start from.
    return [
        run
        for seed in real.SEEDS
        for run in (
            real.prompt("squad", "xxl", seed, prompt={"init": "vocabulary"}),
            real.model("squad", "xxl", seed),
        )
    ]


def evaluations(runs: Sequence[pt.Run]) -> list[Elsewhere]:
    """Every run on every other domain; checkpoints are chosen on the training domain."""
    return [Elsewhere(run, task) for run in runs for task in TARGETS.get(run.task, ())]
