"""The benchmark runs from end to end on a tiny model; that PEFT computes the same, it checks."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest

from prompt_tuning.errors import UserError
from scripts import benchmark, benchmark_process
from scripts.benchmark_report import Row, write

TINY = {"tasks": (), "batch": 3, "length": 2, "input": 6, "limit": 16, "rounds": 1,
        "examples": 4, "output": 3, "threads": 1, "populations": (1, 2), "population_batches": (2,),
        "remat": "none", "run_steps": 4}  # fmt: skip


@pytest.fixture(scope="module")
def texts():
    inputs = [[5, 6, 7, 1], [8, 9, 1], [10, 1], [11, 12, 13, 14, 15, 1], [6, 5, 1]]
    targets = [[3, 1], [4, 9, 1], [3, 1], [4, 9, 1], [3, 1]]
    return [benchmark.Texts("toy", inputs, targets, [[3, 1], [4, 9, 1]])]


# PEFT calls what transformers has deprecated.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_every_part_is_measured_and_written(tiny_t5, texts, tmp_path, monkeypatch):
    if importlib.util.find_spec("torch") is None:
        monkeypatch.setattr(benchmark, "has_peft", lambda: False)
    options = benchmark.Options(
        model=str(tiny_t5), only=("training", "evaluation", "populations"), **TINY
    )
    rows = benchmark.benchmark(options, texts)
    assert all(row.ours > 0 for row in rows)
    assert sum(row.other is not None for row in rows) >= (5 if benchmark.has_peft() else 2)
    write(rows, options, tmp_path)
    kept = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [row["what"] for row in kept["rows"]] == [row.what for row in rows]
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(f"| {row.what} |" in page for row in rows)


def test_a_process_tells_its_time_and_its_peak(tiny_t5, tmp_path, monkeypatch, capsys):
    for file in tiny_t5.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "batch.json").write_text(json.dumps([[[5, 6, 1]], [[3, 1]]]))
    words = ["x", "ours", str(tmp_path), "full", "2", "64", "0"]
    monkeypatch.setattr(sys, "argv", words)
    benchmark_process.main()
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] > 0
    assert 50 < found["peak"] < 100_000


def test_texts_are_repeated_to_one_length(texts):
    inputs, targets = texts[0].batch(0, 5, cut=7)
    assert {len(ids) for ids in inputs} == {7}
    assert {ids[-1] for ids in inputs} == {1}
    assert sorted(map(len, targets)) == sorted(map(len, texts[0].targets))


def test_an_advantage_is_more_of_a_rate_and_less_of_a_cost():
    assert Row("", "examples/s", 6.0, 2.0).advantage == 3
    assert Row("", "MiB", 6.0, 3.0).advantage == 0.5
    assert Row("", "GFLOP/s", 6.0, None).advantage is None


def test_sides_that_disagree_are_not_compared(tiny_t5, texts, monkeypatch):
    class Wrong:
        def __init__(self, *_):
            pass

        def train(self, *_):
            return 0.0

        def close(self):
            pass

    monkeypatch.setattr(benchmark, "PeftProcess", Wrong)
    monkeypatch.setattr(benchmark, "has_peft", lambda: True)
    t5 = benchmark.load_t5(tiny_t5)
    with pytest.raises(UserError, match="do not compute the same"):
        benchmark.training(benchmark.Options(**TINY), t5, pathlib.Path(), texts)
    assert np.isfinite(t5.params["token_embedder"]["embedding"]).all()
