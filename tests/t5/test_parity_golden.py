"""This T5 against PyTorch's values, from the golden files that `scripts/parity.py` wrote."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from prompt_tuning.evaluation.inference import forward
from prompt_tuning.t5.hf_config import config_from_hf
from prompt_tuning.t5.layers import relative_position_buckets
from prompt_tuning.t5.load import load_t5
from scripts.parity_cases import (
    GOLDEN,
    VARIANTS,
    Report,
    buckets,
    compare,
    ours,
    read_golden,
    seeded_params,
    t5x_summary,
)


def test_there_is_a_golden_file_for_every_variant_and_all_are_small():
    files = list(GOLDEN.glob("*.npz"))
    assert {file.stem for file in files} == {*VARIANTS, "buckets_of_distances", "t5x"}
    assert sum(file.stat().st_size for file in files) < 300_000


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_loss_and_decoding_equal_pytorch(name):
    golden = read_golden(name)
    config = config_from_hf(json.loads(str(golden["config"])))
    config = dataclasses.replace(config, tied_head=not golden["untied"])
    report = Report()
    # Beam search compiles slowly: two variants suffice here, `scripts/parity.py` compares all.
    beams = name in ("t5_1_0", "byt5")
    compare(report, name, ours(config, seeded_params(config), golden, beams), golden)
    assert not report.failed
    # The case tells something: texts differ, some end, some tokens are padding.
    assert len({tuple(row) for row in golden["greedy"]}) > 1
    assert (golden["ended"] == 1).any()
    assert (golden["ids"] == 0).any()
    assert np.abs(golden["logits"]).max() > 0.5


def test_relative_position_buckets_equal_pytorch():
    golden, found = read_golden("buckets_of_distances"), buckets(relative_position_buckets)
    assert found.keys() == golden.keys()
    for key, value in golden.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_a_real_t5x_checkpoint_gives_the_logits_of_pytorch(shared_data: pathlib.Path):
    golden = read_golden("t5x")
    t5 = load_t5(shared_data / "t5" / "tiny_t5x_zarr" / "checkpoint_3", max_distance=8)
    logits = np.asarray(forward(t5, golden["ids"], golden["decoder_ids"]))
    found = t5x_summary(logits)
    np.testing.assert_allclose(found["some_logits"], golden["some_logits"], atol=1e-4)
    np.testing.assert_allclose(found["logsumexp"], golden["logsumexp"], atol=1e-4)
    np.testing.assert_array_equal(found["best"], golden["best"])
