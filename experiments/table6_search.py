"""Table 6: the search of hyper-parameters on T5 base.

Command: `prompt-tuning sweep table6_search`; `--setting pocket` is the miniature.
Cost: 112 runs of up to 30,000 steps on one task; name others with `task=[...]`.
The paper made 77 trials by hand: rates 0.001 to 0.5, batches 32 to 512, 10 to 30 thousand steps,
with and without parameter scaling and warm-up. It settled on 0.3, batch 32, 30,000 steps, no
scaling. Expect: rates near 0.3 among the best without scaling; much smaller ones learn little.
"""

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.figures import SEARCH

TABLE = SEARCH
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5)


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return [
            pocket.prompt(
                "pocket/sst2", "b", batch_size=size,
                optimizer={"learning_rate": rate, "scale_by_parameter": scaled},
            )
            for rate in RATES
            for size in (32, 128)
            for scaled in (False, True)
        ]  # fmt: skip
    return [
        real.prompt(
            "super_glue/rte", "base", batch_size=size,
            optimizer={"learning_rate": rate, "scale_by_parameter": scaled, "warmup_steps": warm},
        )
        for rate in RATES
        for size in (32, 64, 256, 512)
        for scaled in (False, True)
        for warm in (0, 2000)
    ]  # fmt: skip
