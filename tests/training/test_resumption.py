"""Runs that are stopped, killed, damaged or not finite: what they leave, and how they go on."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from prompt_tuning.errors import UserError
from prompt_tuning.training import checkpoint, records
from prompt_tuning.training.loop import train
from prompt_tuning.training.member import load_result
from prompt_tuning.training.population import Population
from prompt_tuning.training.stop import Interrupted, listen
from tests.training import killing


def outcome(directory: pathlib.Path) -> dict:
    """Everything a run leaves, except wall-clock times."""
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
    files = ("config.json", "result.json", "predictions.jsonl", "best_prompt.safetensors",
             "last_prompt.safetensors")  # fmt: skip
    return {"metrics": timeless, **{name: (directory / name).read_bytes() for name in files}}


def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(toy_run, tmp_path, monkeypatch):
    run = toy_run(steps=7, dropout=0.2)
    want = outcome(train(run, tmp_path / "whole", quiet=True, log_every=2).directory)
    original = records.append_jsonl

    def interrupt(path, row):  # at the first log line, in the middle of the run
        original(path, row)
        if row["step"] == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("prompt_tuning.training.population.append_jsonl", interrupt)
    with pytest.raises(Interrupted) as stopped:
        train(run, tmp_path / "stopped", quiet=True, log_every=2)
    assert stopped.value.signal == signal.SIGTERM
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / run.id / "result.json").exists()
    got = outcome(train(run, tmp_path / "stopped", quiet=True, log_every=2).directory)
    assert got == want


def test_a_signal_reaches_whoever_listens_around(toy_run, tmp_path):
    with listen() as outer, listen() as inner:
        signal.raise_signal(signal.SIGTERM)
        assert outer.signal == inner.signal == signal.SIGTERM
        with pytest.raises(Interrupted):  # one that came before training began
            train(toy_run(steps=7), tmp_path, quiet=True)
    assert not list(tmp_path.glob("*/metrics.jsonl"))
    with listen() as later:
        assert later.signal is None


KILLED = """
    import json, sys
    import killing
    from prompt_tuning.training import checkpoint
    from prompt_tuning.training.loop import train
    from prompt_tuning.training.run import Run

    # Die in the given number of calls from now, before, inside or after a save, or between steps.
    place, killing.count = sys.argv[3], int(sys.argv[4])

    if place == "rename":
        killing.die_at_commits()
    elif place == "save":
        checkpoint.save = killing.dying(checkpoint.save, after=True)
    elif place == "log":
        import prompt_tuning.training.population as loop
        loop.append_jsonl = killing.dying(loop.append_jsonl, after=True)
    elif place == "prompt":
        from prompt_tuning.training.member import Member
        Member.save = killing.dying(Member.save, after=False)
    runs = [Run.from_dict(values) for values in json.load(open(sys.argv[1]))]
    train(runs, sys.argv[2], quiet=True, log_every=1, save_seconds=0.0)
"""


def test_runs_killed_at_any_moment_end_as_if_never_killed(toy_run, tmp_path):
    runs = [toy_run(length=3, seed=1, dropout=0.1), toy_run(length=2, seed=2, dropout=0.1)]
    results = train(runs, tmp_path / "whole", quiet=True, log_every=1)
    (tmp_path / "runs.json").write_text(json.dumps([run.to_dict() for run in runs]))
    (tmp_path / "killed.py").write_text(textwrap.dedent(KILLED))
    shutil.copy(killing.__file__, tmp_path)
    places = [("log", 1), ("save", 0), ("rename", 2), ("prompt", 1), ("rename", 1)]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    environment = {**os.environ, **cache, "JAX_PLATFORMS": "cpu"}
    for place, count in places:
        arguments = [tmp_path / "killed.py", tmp_path / "runs.json", tmp_path / "killed"]
        done = subprocess.run(
            [sys.executable, *arguments, place, str(count)], env=environment, capture_output=True
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    after = train(runs, tmp_path / "killed", quiet=True, log_every=1)
    for want, got in zip(results, after, strict=True):
        assert outcome(got.directory) == outcome(want.directory)


def test_a_damaged_checkpoint_falls_back_on_the_one_before(toy_run, tmp_path, caplog):
    run = toy_run()
    result = train(run, tmp_path, quiet=True)
    want = outcome(result.directory)
    (result.directory / "result.json").unlink()
    for path in (result.directory / "checkpoints" / "6").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert outcome(train(run, tmp_path, quiet=True).directory) == want
    assert "cannot be read" in caplog.text


def test_no_run_goes_back_to_where_another_is(toy_run, tmp_path, monkeypatch, caplog):
    """Runs without a common checkpoint are trained one after the other; a damaged one is kept."""
    far, fresh = toy_run(seed=1, steps=9), toy_run(seed=2, steps=9)
    runs = [far, fresh]
    whole = [train(run, tmp_path / "whole", quiet=True, log_every=1) for run in runs]
    original = records.append_jsonl

    def raising(error):
        def fail(*args, **options):
            raise error

        return fail

    def stop(runs, at):
        def interrupt(path, row):
            original(path, row)
            if row["step"] == at:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr("prompt_tuning.training.population.append_jsonl", interrupt)
        with pytest.raises(Interrupted):
            train(runs, tmp_path, quiet=True, log_every=1)
        monkeypatch.undo()
        return [checkpoint.steps(tmp_path / run.id / "checkpoints") for run in runs]

    assert stop([far], 4)[0][-1] in (4, 5)
    of_far, of_fresh = stop(runs, 8)
    assert of_far[-1] in (8, 9)
    assert of_fresh == []
    real = ocp.load
    monkeypatch.setattr(ocp, "load", raising(OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(UserError, match="Too many open files"):
        train(runs, tmp_path, quiet=True)
    assert checkpoint.steps(tmp_path / far.id / "checkpoints") == of_far
    newest = tmp_path / far.id / "checkpoints" / str(of_far[-1])
    monkeypatch.setattr(
        ocp, "load", lambda path: raising(ValueError())() if path == str(newest) else real(path)
    )
    results = train(runs, tmp_path, quiet=True, log_every=1)
    assert f"kept as {newest.name}.damaged; going back to the one before" in caplog.text
    assert "not all runs" not in caplog.text
    for want, got in zip(whole, results, strict=True):
        assert outcome(got.directory) == outcome(want.directory)


def test_a_failure_of_another_kind_is_no_loss_that_is_not_finite(toy_run, tmp_path):
    runs = [toy_run(seed=1), toy_run(seed=2)]
    (tmp_path / runs[0].id).mkdir()
    reason = '{"reason": "its worker died 3 times (signal 9; out of memory?)"}'
    (tmp_path / runs[0].id / "failed.json").write_text(reason)
    assert [result.steps for result in train(runs, tmp_path, quiet=True)] == [6, 6]
    assert not (tmp_path / runs[0].id / "failed.json").exists()


@pytest.mark.parametrize("packing", [False, True])  # packed runs share the parts of batches
def test_a_loss_that_is_not_finite_stops_that_run_only(toy_run, tmp_path, monkeypatch, packing):
    original = Population.batch

    def poisoned(self, step):  # NaN reaches the loss of run 0 at its third step
        if step == 2:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table.at[0].set(np.nan)
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    runs = [toy_run(seed=1, packing=packing), toy_run(seed=2, packing=packing)]
    with pytest.raises(UserError, match=f"not finite: {runs[0].id} at step 3"):
        train(runs, tmp_path, quiet=True)
    assert load_result(tmp_path / runs[1].id).steps == 6
    assert not (tmp_path / runs[0].id / "result.json").exists()
    monkeypatch.undo()  # what was wrong is mended: the run goes on from its last sound checkpoint
    assert train(runs, tmp_path, quiet=True)[0].steps == 6


def test_a_bad_loss_at_an_evaluation_names_its_step(toy_run, tmp_path, monkeypatch):
    original = Population.batch

    def poisoned(self, step):
        if step == 2:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table * np.nan
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    for _ in range(2):  # a second try goes on from the last sound checkpoint and fails alike
        with pytest.raises(UserError, match=r"not finite: .* at step 3"):
            train(toy_run(eval_every=1), tmp_path, quiet=True)


def test_a_failed_run_does_not_hold_back_its_neighbours(toy_run, tmp_path, monkeypatch):
    runs = [toy_run(seed=1, eval_every=2), toy_run(seed=2, eval_every=2)]
    original, seen = Population.batch, []

    def poisoned(self, step):
        seen.append(step)
        if step == 0:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table.at[0].set(np.nan)
        if seen == [0, 1, 2, 3, 4]:
            signal.raise_signal(signal.SIGTERM)
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    with pytest.raises(Interrupted):
        train(runs, tmp_path, quiet=True)
    with pytest.raises(UserError, match=f"not finite: {runs[0].id} at step 1"):
        train(runs, tmp_path, quiet=True)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert load_result(tmp_path / runs[1].id).steps == 6


def test_a_second_process_on_the_same_run_is_refused(toy_run, tmp_path):
    run = toy_run()
    with (
        records.lock(tmp_path / run.id),
        pytest.raises(UserError, match=rf"in use by process {os.getpid()}"),
    ):
        train(run, tmp_path, quiet=True)


def test_a_full_disk_is_one_clear_line_and_loses_nothing(toy_run, tmp_path, monkeypatch):
    run = toy_run(steps=9)
    want = outcome(train(run, tmp_path / "whole", quiet=True).directory)
    original = checkpoint.save

    def full(folder, step, *args):
        if step == 6:
            raise OSError(28, "No space left on device")
        original(folder, step, *args)

    def no_room(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    for _ in range(2):
        with pytest.raises(UserError, match="is full: make room and run again"):
            train(run, tmp_path / "full", quiet=True)
        monkeypatch.setattr(os, "write", no_room)  # not even who works here can be told
    monkeypatch.undo()
    assert outcome(train(run, tmp_path / "full", quiet=True).directory) == want
