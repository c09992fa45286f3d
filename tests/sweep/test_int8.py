"""The experiment on int8 weights: what it pairs, and what it says of the pairs."""

import dataclasses
import json

from experiments import int8, pocket


def test_every_run_has_its_twin_in_int8():
    runs = int8.runs("pocket")
    plain, small = ([r for r in runs if r.dtype == dtype] for dtype in (None, "int8"))
    assert [dataclasses.replace(run, dtype=None) for run in small] == plain
    assert len(plain) == len(pocket.SIZES) * len(pocket.ABLATED) * 3


def test_only_pairs_are_compared():
    def row(seed, dtype, value, main=True):
        config = json.dumps({"dtype": dtype})
        return {"model": "m", "task": "t", "seed": seed, "prompt_length": 20, "value": value,
                "main": main, "config": config}  # fmt: skip

    rows = [row(0, None, 70.0), row(0, "int8", 68.0), row(1, None, 80.0), row(1, "int8", 80.0),
            row(2, None, 10.0), row(3, "float32", 60.0), row(3, "int8", 60.0),
            row(0, "int8", 5.0, main=False)]  # fmt: skip
    _, line = int8.compare(rows)
    assert line.split() == ["m", "3", "70.00", "69.33", "-0.67", "(sd", "1.15)"]
