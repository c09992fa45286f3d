"""The executors give what one process gives: a local Ray, and submitit's jobs on this machine."""

import dataclasses
import sys
import types

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import remote
from prompt_tuning.sweep.evaluations import Ensemble
from prompt_tuning.sweep.grid import Sizes
from prompt_tuning.sweep.results import collect
from prompt_tuning.sweep.run import Workers, sweep_runs
from prompt_tuning.sweep.watch import Watch
from tests.sweep.test_sweep import traces

pytestmark = pytest.mark.usefixtures("compiled")
PAIRS = Sizes(prompt=2)


def table(out):
    return collect(out).table.drop_columns(["seconds", "experiment"])


@pytest.mark.filterwarnings("ignore")  # of Ray itself
def test_a_sweep_under_ray_gives_the_same_table(grid, whole, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path))  # it leaves a file there
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
    try:
        found = sweep_runs(grid, tmp_path / "out", executor="ray", sizes=PAIRS, quiet=True)
    finally:
        ray.shutdown()
    assert [status.state for status in found] == ["done"] * len(grid)
    assert table(tmp_path / "out").equals(table(whole))
    assert traces(tmp_path / "out", grid) == traces(whole, grid)


class Lost(Exception):
    """A Ray worker that did not come back."""


def fake_ray(answers):
    """A Ray whose workers give these answers, one after the other; an exception is raised."""

    def get(reference):
        answer = answers.pop(0)
        if callable(answer):
            return answer()
        raise answer

    call = types.SimpleNamespace(remote=lambda task: task)
    return types.SimpleNamespace(
        is_initialized=lambda: True,
        cluster_resources=dict,
        remote=lambda **options: lambda function: call,
        wait=lambda references, **options: (references[:1], references[1:]),
        get=get,
        cancel=lambda *args, **options: None,
        exceptions=types.SimpleNamespace(**dict.fromkeys(remote._LOST, Lost)),
    )


def test_workers_that_ray_loses_are_replaced_but_not_for_ever(grid, tmp_path, monkeypatch):
    run = grid[0]
    task = remote.Task([[run]], tmp_path, [], 50, 300.0)
    watch = Watch(tmp_path, [run], quiet=True)

    def saves():  # some progress, then the end of that worker
        (tmp_path / run.id / "checkpoints" / "1").mkdir(parents=True)
        raise Lost

    answers = [Lost(), Lost(), saves, Lost(), lambda: ""]
    monkeypatch.setitem(sys.modules, "ray", fake_ray(answers))
    remote.sweep_ray(task, watch)
    assert not answers
    monkeypatch.setitem(sys.modules, "ray", fake_ray([Lost()] * 9))
    with pytest.raises(UserError, match=rf"died 3 times .* \(Lost\); still open: {run.id}$"):
        remote.sweep_ray(task, watch)
    (tmp_path / run.id / "result.json").write_text("")  # evaluations only are left
    task = dataclasses.replace(task, evaluations=[Ensemble((run,))])
    monkeypatch.setitem(sys.modules, "ray", fake_ray([Lost()] * 9))
    with pytest.raises(UserError, match=r"died 3 times .* still open: ensembles/.*\.json$"):
        remote.sweep_ray(task, watch)


def test_a_sweep_as_submitted_jobs_gives_the_same_table(grid, whole, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    how = Workers(cluster="local", hours=1)
    found = sweep_runs(grid, tmp_path, executor="slurm", sizes=PAIRS, workers=how, quiet=True)
    assert [status.state for status in found] == ["done"] * len(grid)
    assert table(tmp_path).equals(table(whole))
    assert list((tmp_path / "slurm").iterdir())


def test_a_job_that_runs_out_of_time_is_submitted_again():
    submitit = pytest.importorskip("submitit")
    task = remote.Task([], None, [], 50, 300.0)
    again = task.checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function is task


def test_what_is_not_there_is_named(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no sbatch
    task = remote.Task([grid], tmp_path, [], 50, 300.0)
    watch = Watch(tmp_path, grid, quiet=True)
    with pytest.raises(UserError, match=r"cannot be submitted"):
        remote.sweep_slurm(task, watch)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"needs ray: pip install 'prompt-tuning\[ray\]'"):
        remote.sweep_ray(task, watch)
    with pytest.raises(UserError, match="workers must be at least 1"):
        Workers(workers=0)
    with pytest.raises(UserError, match="unknown executor"):
        sweep_runs(grid, tmp_path, executor="cloud")
