"""Sweeps: the same table whatever happens to the workers; each run done once; failures kept."""

import dataclasses
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import threading

import numpy as np
import pyarrow as pa
import pytest

from experiments.reproduce import reproduce
from prompt_tuning.errors import UserError
from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.sweep import local
from prompt_tuning.sweep.grid import Sizes, populations
from prompt_tuning.sweep.results import collect
from prompt_tuning.sweep.run import sweep_runs
from prompt_tuning.sweep.status import Survey, failure, read_lines
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.sweep.work import work
from prompt_tuning.training.population import Population
from prompt_tuning.training.run import Run
from prompt_tuning.training.stop import Interrupted

pytestmark = pytest.mark.usefixtures("compiled")
PAIRS = Sizes(prompt=2)


def table(out: pathlib.Path) -> pa.Table:
    """The results, without what depends on the clock."""
    found = collect(out)
    assert found.damaged == ()
    return found.table.drop_columns(["seconds", "experiment"])


def test_the_table_keeps_the_order_of_labels(whole):
    configs = map(json.loads, collect(whole).table["config"].to_pylist())
    assert {tuple(config["user_task"]["labels"]) for config in configs} == {("yes", "no")}


@pytest.fixture
def copy(whole, tmp_path):
    """A finished sweep to do harm to."""
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def traces(out: pathlib.Path, runs: list[Run]) -> list[bytes]:
    """The best prompt and the predictions of each run, to the byte."""
    names = ("best_prompt.safetensors", "predictions.jsonl")
    return [(out / run.id / name).read_bytes() for run in runs for name in names]


def states(out: pathlib.Path, runs: list[Run]) -> list[str]:
    return [status.state for status in Survey(out, runs).look()]


class Disturbing(Watch):
    """Does `harm` when the files of the sweep have changed a random number of times."""

    def __init__(self, out, runs, harm, times):
        super().__init__(out, runs, quiet=True)
        self.harm, self.left, self.random = harm, times, random.Random(3)
        self.seen, self.patience = None, 1

    def show(self, force=False):
        files = [(root, *names) for root, _, names in os.walk(self.out)]
        files.append([p.stat().st_size for p in self.out.glob("*/metrics.jsonl")])
        if files != self.seen and self.left:
            self.seen, self.patience = files, self.patience - 1
            if self.patience <= 0 and self.harm():
                self.left, self.patience = self.left - 1, self.random.choice((1, 1, 1, 2, 5))
        return super().show(force)


@pytest.fixture
def watched(monkeypatch, grid):
    """A function that sweeps while harm is done."""

    def sweep(out, harm, times, **options) -> Disturbing:
        watch = Disturbing(out, grid, harm, times)
        local.sweep_local(populations(grid, PAIRS), out, watch, save_seconds=0, **options)
        return watch

    return sweep


def test_workers_killed_at_random_lose_nothing(grid, whole, tmp_path, watched):
    def kill() -> bool:
        workers = multiprocessing.active_children()
        for n, worker in enumerate(workers):  # killed, or told to stop by somebody
            os.kill(worker.pid, (signal.SIGKILL, signal.SIGTERM)[n % 2])
        return bool(workers)

    left = 6  # kills: a sweep may be done before it has had them all
    while left:
        out = tmp_path / f"killed-{left}"
        out.mkdir()
        watch = watched(out, kill, left, max_deaths=99)
        assert watch.left < left
        left = watch.left
        assert states(out, grid) == ["done"] * len(grid)
        assert table(out).equals(table(whole))
        assert traces(out, grid) == traces(whole, grid)


def test_a_signal_stops_and_two_sweeps_at_once_do_each_run_once(grid, whole, tmp_path, watched):
    out = tmp_path / "shared"
    out.mkdir()
    with pytest.raises(Interrupted):
        watched(out, lambda: signal.raise_signal(signal.SIGTERM) is None, 1)
    assert multiprocessing.active_children() == []
    assert "done" not in states(out, grid)
    failed = []

    def sweep() -> None:
        try:
            watch = Watch(out, grid, quiet=True)
            local.sweep_local(populations(grid, PAIRS), out, watch, workers=2)
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert states(out, grid) == ["done"] * len(grid)
    assert table(out).equals(table(whole))
    assert traces(out, grid) == traces(whole, grid)
    finished = [name for row in read_lines(out / "sweep.jsonl") for name in row["runs"]]
    assert {run.id for run in grid} == set(finished)
    assert len(finished) <= len(grid) + 2  # each once, and what the signal stopped
    for run in grid:  # no step twice
        steps = [(row["kind"], row["step"]) for row in read_lines(out / run.id / "metrics.jsonl")]
        assert len(steps) == len(set(steps))
    # A third finds nothing to do.
    found = sweep_runs(grid, out, sizes=PAIRS, quiet=True)
    assert [status.state for status in found] == ["done"] * len(grid)


def test_a_corrupted_result_is_reported_and_done_again(grid, whole, copy):
    def edited(text: str) -> str:
        values = json.loads(text)
        return json.dumps({**values, "score": values["score"] + 1.0})

    harms = {
        "is damaged": lambda text: text[: len(text) // 2],
        "not those in metrics": edited,
        "is of the run": lambda text: (copy / grid[3].id / "result.json").read_text(),
    }
    for run, (message, harm) in zip(grid, harms.items(), strict=False):
        path = copy / run.id / "result.json"
        path.write_text(harm(path.read_text()))
        assert Survey(copy, [run]).look()[0].state == "damaged"
        found = collect(copy)
        assert [line for line in found.damaged if message in line]
        assert run.id not in found.table["run"].to_pylist()
    prompt = copy / grid[3].id / "best_prompt.safetensors"
    best = load_prompt(prompt)
    dataclasses.replace(best, metadata={**best.metadata, "step": "99"}).save(prompt)
    assert [line for line in collect(copy).damaged if "is of step 99, not" in line]
    prompt.write_bytes(prompt.read_bytes()[:-9])
    assert [line for line in collect(copy).damaged if "best_prompt.safetensors" in line]
    (copy / grid[4].id / "manifest.json").write_text("")
    assert [line for line in collect(copy).damaged if "manifest.json is damaged" in line]
    said = []
    work(populations(grid, PAIRS), copy, say=said.append)
    assert len(said) == 5
    assert all("the run is done again" in line for line in said)
    assert table(copy).equals(table(whole))
    assert traces(copy, grid) == traces(whole, grid)


def test_a_failed_run_keeps_its_reason_and_stops_no_other(make, tmp_path, monkeypatch):
    original = Population.batch

    def poisoned(self, step):
        if self.run.seed == 2:
            [tree] = self.state.trainable
            tree["prompt"]["table"] *= np.nan
        return original(self, step)

    missing = tmp_path / "prompt.npy"
    file = make(seed=1, prompt=PromptConfig(length=2, init="file", path=str(missing)))
    runs, said = [make(), file, make(seed=2)], []
    monkeypatch.setattr(Population, "batch", poisoned)
    out = tmp_path / "out"
    work(populations(runs), out, say=said.append)
    assert states(out, runs) == ["done", "failed", "failed"]
    reasons = [failure(out / run.id)["reason"] for run in runs[1:]]
    assert str(missing) in reasons[0]
    assert "not finite at step" in reasons[1]
    work(populations(runs), out)  # nothing is tried again by itself
    assert states(out, runs) == ["done", "failed", "failed"]
    np.save(missing, np.ones((2, 16), np.float32))
    found = sweep_runs(runs, out, quiet=True, retry_failed=True)
    assert [status.state for status in found] == ["done", "done", "done"]


def test_a_worker_that_dies_again_and_again_is_given_up(make, tmp_path):
    run, pid = make(), 2**22 + 5  # no process has this number
    deaths = local._Deaths(tmp_path, [[run]], 3)
    watch = Watch(tmp_path, [run], quiet=True)
    (tmp_path / run.id).mkdir()
    (tmp_path / run.id / ".lock").write_text(f"process {pid}")
    for _ in range(2):
        deaths.note(pid, -9, watch)
    (tmp_path / run.id / "checkpoints" / "2").mkdir(parents=True)  # it got on: counted anew
    for _ in range(2):
        deaths.note(pid, -9, watch)
        assert failure(tmp_path / run.id) is None
    deaths.note(pid, -9, watch)
    assert failure(tmp_path / run.id) == {
        "reason": "its worker died 3 times (signal 9; out of memory?)"
    }
    with pytest.raises(UserError, match="a worker of the sweep failed"):
        deaths.note(pid + 1, 1, watch)


def test_a_results_folder_that_takes_no_more_stops_the_sweep(make, tmp_path, monkeypatch):
    from prompt_tuning.training import checkpoint

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(UserError, match="is full: make room"):
        work([[make()]], tmp_path)
    assert states(tmp_path, [make()]) != ["failed"]


def test_a_change_since_a_run_was_done_is_reported_and_fails_no_other(make, tmp_path):
    mine = {}
    for split, path in make().user_task.files.items():
        mine[split] = str(tmp_path / pathlib.Path(path).name)
        shutil.copy(path, mine[split])
    task = dataclasses.replace(make().user_task, files=mine)
    runs = [make(user_task=task, seed=seed) for seed in (0, 1)]
    out, said = tmp_path / "out", []
    work(populations(runs[:1]), out)
    before = (out / runs[0].id / "result.json").read_bytes()
    lines = pathlib.Path(mine["train"]).read_text().splitlines(keepends=True)
    pathlib.Path(mine["train"]).write_text("".join(lines[:-2]))
    work(populations(runs), out, say=said.append)
    assert ["the data of split train has changed" in line for line in said] == [True]
    assert states(out, runs) == ["done", "done"]
    assert (out / runs[0].id / "result.json").read_bytes() == before
    times = [json.loads(line)["runs"] for line in (out / "sweep.jsonl").read_text().splitlines()]
    assert times == [[runs[0].id], [runs[1].id]]  # each counts the time in which it was trained


def test_workers_share_the_machine(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for platforms, gpus in (("cpu", []), ("cuda,cpu", ["0", "1"]), ("", ["0", "1"])):
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
        assert local.visible_gpus() == gpus
    assert local.share_of_machine(0, 1, ["0", "1"]) == {}
    four = [local.share_of_machine(n, 4, ["3", "5"])["variables"] for n in range(4)]
    assert [v["CUDA_VISIBLE_DEVICES"] for v in four] == ["3", "5", "3", "5"]
    assert {v["XLA_PYTHON_CLIENT_MEM_FRACTION"] for v in four} == {"0.45"}
    two = [local.share_of_machine(n, 2, list("0123"))["variables"] for n in range(2)]
    assert [v["CUDA_VISIBLE_DEVICES"] for v in two] == ["0,1", "2,3"]
    cores = [local.share_of_machine(n, 2, [])["cores"] for n in range(2)]
    assert set(cores[0]) | set(cores[1]) == os.sched_getaffinity(0)


def test_reproduce_names_damaged_results_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("experiments.reproduce.sweep_runs", lambda *args, **options: [])
    assert reproduce(tmp_path) == 0
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text("{}")
    assert reproduce(tmp_path) == 1
    assert f"damaged: {tmp_path}/run/result.json is damaged" in capsys.readouterr().out
