"""`prompt-tuning plan` on a tiny architecture."""

import re

import pytest

SMALL = ("--batch", 4, "--length", 3, "--input", 12, "--target", 6)


def test_a_plan_tells_parameters_operations_and_memory(run, tiny_t5):
    status, text, err = run("plan", "--model", tiny_t5, *SMALL, "--no-alternatives")
    assert status == 0, err
    assert "batch 4 of 12 + 3 -> 6" in text
    assert re.search(r"parameters +22,752 frozen, 48 trained", text)
    peak, *parts = (
        float(re.search(rf"{name} +([\d.]+) GiB", text)[1])
        for name in ("peak", "weights", "prompt, optimiser", "activations")
    )
    assert peak == pytest.approx(sum(parts), abs=0.003)
    assert "float32 activations" in text  # how it was estimated


def test_what_cannot_be_planned_is_refused(refused, tiny_t5):
    assert "tells nothing of its size" in refused("plan", "--model", "some/model")
    assert "at least 1" in refused("plan", "--batch", 0)
    assert "does not divide" in refused("plan", "--devices", 4, "--model-parallel", 3)
    line = refused("plan", "--model", tiny_t5, "--devices", 2, *SMALL)
    assert "this process has 1 CPU devices" in line
