"""Figure 4 and Table 4: how many parameters each method trains for a task. Computed, not run.

Command: `python experiments/figure4_parameters.py`. Cost: seconds.
The paper found: prompt tuning below 0.01 % of the model above a billion parameters; prefix tuning
0.1 to 1 %, more while it trains with reparameterisation.
Expect (mean over lengths 1 to 100, small to XXL): prompt tuning 2.6e4 3.9e4 5.2e4 1.0e5 2.1e5;
prefix tuning 3.4e5 to 9.9e6 kept and 3.5e6 to 1.0e8 while it trains. Table 4 prints two numbers
wrongly: at length 20 small has 10,240 (not 10,420), at length 100 large trains 0.01307 % (not
.01907).
"""

import prompt_tuning as pt
from prompt_tuning.sweep.counts import counts


def runs(setting: str = "paper") -> list[pt.Run]:
    """Nothing is run."""
    return []


if __name__ == "__main__":
    print(f"{'method':<34} {'size':<6} {'least':>13} {'mean':>15} {'most':>13}")
    for c in counts():
        print(f"{c.method:<34} {c.size:<6} {c.low:>13,} {c.mean:>15,.0f} {c.high:>13,}")
