"""What int8 weights of the frozen model cost in accuracy (not in the paper).

Command: `prompt-tuning sweep int8 --setting pocket --out results/int8`, then
`python experiments/int8.py results/int8` for the comparison. Keep these results in a folder of
their own: a report counts the better type of weights.
Cost: 240 runs of 30,000 steps, 120 of them Figure 1's; `--setting pocket` takes minutes a size.
Prompts are tuned on the model that they are used with, float or int8, from the same start on the
same batches. Expect: differences within the deviation of seeds; the narrower the model, the coarser
its rows are quantised.
"""

import json
import pathlib
import statistics
import sys
from collections import defaultdict

import prompt_tuning as pt
from experiments import pocket, real
from prompt_tuning.sweep.results import collect

# The frozen weights in each setting; the pocket models as they are stored.
DTYPES = {"pocket": (None, "int8"), "paper": ("bfloat16", "int8")}


def runs(setting: str = "paper") -> list[pt.Run]:
    if real.miniature(setting):
        return [
            pocket.prompt(task, size, seed, dtype=dtype)
            for size in pocket.SIZES
            for task in pocket.ABLATED
            for dtype in DTYPES["pocket"]
            for seed in real.SEEDS
        ]
    return [
        real.prompt(task, size, seed, dtype=dtype)
        for size in real.SIZES
        for task in real.SUITE
        for dtype in DTYPES["paper"]
        for seed in real.SEEDS
    ]


def compare(rows: list[dict]) -> list[str]:
    """Of each model: mean score with float and with int8 weights over the pairs that both have,
    mean difference and its sample standard deviation over the pairs.

    rows: those of a results table, as dicts.
    """
    scores: dict[str, dict[tuple, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["main"]:
            dtype = "int8" if json.loads(row["config"])["dtype"] == "int8" else "float"
            scores[row["model"]][row["task"], row["seed"], row["prompt_length"]][dtype] = row[
                "value"
            ]
    lines = [f"{'model':<32} {'pairs':>5} {'float':>7} {'int8':>7} {'difference':>18}"]
    for model, cells in sorted(scores.items()):
        pairs = [(c["float"], c["int8"]) for c in cells.values() if {"float", "int8"} <= c.keys()]
        if pairs:
            gaps = [small - plain for plain, small in pairs]
            means = [statistics.mean(column) for column in zip(*pairs, strict=True)]
            spread = f" (sd {statistics.stdev(gaps):.2f})" if len(gaps) > 1 else ""
            difference = f"{statistics.mean(gaps):+.2f}{spread}"
            lines.append(f"{model:<32} {len(pairs):>5} {means[0]:>7.2f} {means[1]:>7.2f} "
                         f"{difference:>18}")  # fmt: skip
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        sys.exit("name the results folder of the sweep")
    found = compare(collect(pathlib.Path(sys.argv[1])).table.to_pylist())
    if not found[1:]:
        sys.exit(f"{sys.argv[1]} has no finished pair of a float and an int8 run")
    print("\n".join(found))
