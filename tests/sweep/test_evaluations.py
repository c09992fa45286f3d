"""What is done with tuned prompts: other tasks, ensembles, neighbours; and the trackers."""

import dataclasses
import json
import shutil
import sys
import types

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.sweep import trackers, watch
from prompt_tuning.sweep.cells import read_results
from prompt_tuning.sweep.evaluated import ensemble_sheets, reading_sheets
from prompt_tuning.sweep.evaluations import Elsewhere, Ensemble, Reading, done
from prompt_tuning.sweep.report import manifest
from prompt_tuning.sweep.results import collect, export
from prompt_tuning.sweep.run import sweep_runs
from prompt_tuning.sweep.trackers import track
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.sweep.work import work


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def rows(out, **fields):
    found = collect(out).table.to_pylist()
    return [row for row in found if all(row[name] == value for name, value in fields.items())]


def test_evaluations_are_done_once_their_runs_are_and_only_once(grid, make, copy):
    never = make(seed=99)
    wanted = [
        Ensemble(tuple(grid[:4])),
        Reading(grid[0]),
        Elsewhere(dataclasses.replace(grid[0], dev_examples=4), "pocket/sst2"),
        Reading(never),
    ]
    shutil.copytree(copy / grid[0].id, copy / wanted[2].run.id)
    for name in ("result.json", "config.json"):  # the same run, but for its few dev examples
        path = copy / wanted[2].run.id / name
        values = json.loads(path.read_text())
        (values if name == "config.json" else values["run"])["dev_examples"] = 4
        path.write_text(json.dumps(values))
    said = []
    work([], copy, wanted, say=said.append)
    assert said == []
    assert [done(e, copy) for e in wanted] == [True, True, True, False]
    before = {e.file(copy): e.file(copy).stat().st_mtime_ns for e in wanted[:3]}
    work([], copy, wanted)
    assert before == {path: path.stat().st_mtime_ns for path in before}

    values = json.loads(wanted[0].file(copy).read_text())
    singles = [json.loads((copy / run.id / "result.json").read_text()) for run in grid[:4]]
    assert [single["score"] for single in values["singles"]] == [s["score"] for s in singles]
    assert values["best"] == max(s["score"] for s in singles)
    [vote] = rows(copy, method="ensemble", metric="score")
    assert (vote["value"], vote["main"], vote["task"]) == (values["score"], False, "toy")
    assert vote["trainable"] == sum(r["trainable"] for r in rows(copy, method="prompt", main=True)
                                    if r["run"] in {run.id for run in grid[:4]})  # fmt: skip

    [moved] = rows(copy, task="pocket/sst2", main=True)
    assert moved["run"] == wanted[2].run.id
    assert json.loads(moved["config"])["task"] == "toy"  # what it was trained on

    reading = json.loads(wanted[1].file(copy).read_text())
    assert set(reading) == {"cosine", "dot", "euclidean", "of"}
    assert len(reading["cosine"]["pieces"]) == 2
    assert -1 <= reading["cosine"]["tightness_of_random"] <= 1

    table = collect(copy).table
    facts = dict(manifest(table, read_results(table), copy))
    assert facts["runs"] == str(len({r["run"] for r in rows(copy) if r["method"] != "ensemble"}))

    results = read_results(table)
    [row] = [row for row in ensemble_sheets(results)[0].rows if row[1] != "score"]
    assert row[6] == 4
    assert row[9:11] == pytest.approx((values["best"], values["score"]))
    assert row[7] == pytest.approx(values["average"])
    assert len(reading_sheets(results, copy)[0].rows) == 3

    for file, harm in ((wanted[0].file(copy), "{"), (wanted[1].file(copy), '{"dot": {}}')):
        file.write_text(harm)  # damaged: named, and done again
    assert len([line for line in collect(copy).damaged if "damaged" in line]) == 2
    work([], copy, wanted)
    assert json.loads(wanted[0].file(copy).read_text()) == values
    assert json.loads(wanted[1].file(copy).read_text()) == reading

    prompt = copy / grid[0].id / "best_prompt.safetensors"  # as if its run had been done again
    best = load_prompt(prompt)
    dataclasses.replace(best, array=best.array + 1).save(prompt)
    assert [done(e, copy) for e in wanted[:3]] == [False, False, True]
    work([], copy, wanted)
    assert [done(e, copy) for e in wanted[:3]] == [True, True, True]
    assert json.loads(wanted[1].file(copy).read_text()) != reading


def test_the_table_is_exported(copy, tmp_path):
    table = collect(copy).table
    plain = {pa.string(), pa.int64(), pa.float64(), pa.bool_()}  # what every reader knows
    assert set(table.schema.types) == plain
    assert table.schema.metadata is None
    export(table, tmp_path / "t.csv")
    export(table, tmp_path / "t.json")
    export(table, tmp_path / "t.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").equals(table)
    assert json.loads((tmp_path / "t.json").read_text()) == table.to_pylist()
    assert pyarrow.csv.read_csv(tmp_path / "t.csv")["run"].to_pylist() == table["run"].to_pylist()


@pytest.mark.filterwarnings("ignore")  # of the tracker's own
def test_tensorboard_gets_every_line_once(grid, copy):
    pytest.importorskip("tensorboardX")
    lines = sum(len((copy / run.id / "metrics.jsonl").read_text().splitlines()) for run in grid)
    assert track(copy, grid, "tensorboard") == lines
    assert track(copy, grid, "tensorboard") == 0
    assert {path.name for path in (copy / "tensorboard").iterdir()} == {run.id for run in grid}


def test_a_tracker_that_fails_half_way_repeats_nothing(grid, copy, monkeypatch):
    sent = []

    def send(_, __, run, rows):
        if len(sent) == 2:
            raise ConnectionError("no network")
        sent.append(run.id)

    monkeypatch.setattr(trackers, "package_of", lambda _: None)
    monkeypatch.setattr(trackers, "_wandb", send)
    with pytest.raises(ConnectionError):
        track(copy, grid, "wandb")
    with pytest.raises(ConnectionError):
        track(copy, grid, "wandb")
    assert sent == [run.id for run in grid[:2]]


def test_a_tracker_that_fails_stops_nothing(grid, copy, monkeypatch, capsys):
    def fail(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=fail))
    found = sweep_runs(grid, copy, tracker="wandb")  # whose own start fails
    assert {status.state for status in found} == {"done"}
    monkeypatch.setattr(watch, "track", fail)
    shown = Watch(copy, grid, tracker="wandb")
    shown.track()
    shown.track()
    assert capsys.readouterr().out.count("the next sweep does: no network") == 2  # once a sweep
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"pip install 'prompt-tuning\[wandb\]'"):
        sweep_runs(grid, copy / "new", tracker="wandb")
    assert not (copy / "new" / "plans").exists()
