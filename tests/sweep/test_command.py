"""`sweep`, `status` and `results` on the command line."""

import contextlib
import io
import json
import shutil

import pyarrow.parquet
import pytest

from prompt_tuning.cli import main
from prompt_tuning.sweep.status import (
    LOG,
    Survey,
    _on_line,
    planned_evaluations,
    planned_runs,
    save_plan,
    seconds_left,
)
from prompt_tuning.training.records import lock


@pytest.fixture
def swept(whole, grid, tmp_path):
    """A finished sweep with its plan, and the experiment file that asked for it."""
    shutil.copytree(whole, tmp_path / "swept")
    save_plan(tmp_path / "swept", "tiny", grid)
    (tmp_path / "experiments").mkdir()
    runs = json.dumps([run.to_dict() for run in grid])
    (tmp_path / "experiments" / "tiny.py").write_text(
        f"import json\nimport prompt_tuning as pt\nRUNS = json.loads({runs!r})\n"
        "def runs(setting='paper'):\n    return [pt.Run.from_dict(values) for values in RUNS]\n"
    )
    return tmp_path


def call(*words) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return status, out.getvalue(), err.getvalue()


def test_a_dry_run_shows_the_grid_and_what_is_done_and_does_nothing(swept):
    file, out = swept / "experiments" / "tiny.py", swept / "swept"
    before = sorted(out.rglob("*"))
    words = ("sweep", file, "seed=[0,7]", "--out", out, "--dry-run")
    status, text, _ = call(*words)
    assert status == 0
    assert "3 runs in 2 populations; tasks: toy" in text  # seeds 0 and 7, and the untrained one
    assert "2 done, 1 left of 3 runs; about" in text
    assert sorted(out.rglob("*")) == before
    status, text, _ = call(*words, "--only", "method=design")
    assert "1 runs in 1 populations" in text
    status, text, _ = call("sweep", file, "--out", swept / "new", "--dry-run")
    assert "The time here is not known before the first run is done" in text
    assert not (swept / "new").exists()


def test_a_finished_sweep_is_left_as_it_is(swept):
    out = swept / "swept"
    log = (out / LOG).read_text()
    status, text, _ = call("sweep", swept / "experiments" / "tiny.py", "--out", out, "--quiet")
    assert status == 0
    assert "5 done of 5 runs" in text
    assert (out / LOG).read_text() == log
    assert pyarrow.parquet.read_table(out / "results.parquet").num_rows == 5


def test_status_and_results_tell_what_there_is(swept, grid):
    out = swept / "swept"
    status, text, _ = call("status", out)
    assert (status, text.splitlines()[-1]) == (0, "5 done of 5 runs")
    save_plan(out, "another", grid[:2])  # runs that two experiments share count for both
    lines = [line.split() for line in call("status", out)[1].splitlines()]
    assert [line[:2] for line in lines[1:3]] == [["another", "2"], ["tiny", "5"]]
    (out / grid[0].id / "result.json").unlink()
    (out / grid[1].id / "result.json").write_text("{}")
    (out / grid[2].id / "result.json").unlink()
    (out / grid[2].id / "failed.json").write_text('{"reason": "too hot"}')
    status, text, _ = call("status", out)
    assert status == 1
    assert f"failed: {grid[2].id}: too hot" in text
    assert f"damaged: {grid[1].id}" in text
    assert "2 done, 1 failed, 2 left of 5 runs; about" in text
    status, text, _ = call("results", out, "--export", swept / "t.csv")
    assert status == 1
    assert "is damaged" in text
    assert "2 runs in" in text
    assert (swept / "t.csv").read_text().startswith('"run"')


def test_the_time_left_goes_by_what_was_measured(swept, grid):
    out = swept / "swept"
    (out / LOG).write_text("".join(
        json.dumps({"runs": [run.id], "seconds": 10.0}) + "\n" for run in grid
    ))  # fmt: skip
    for run in grid[2:4]:
        (out / run.id / "result.json").unlink()
        (out / run.id / "metrics.jsonl").unlink()
    left, done = seconds_left(out, Survey(out, grid).look())
    assert (left, done) == (pytest.approx(20.0), pytest.approx(30.0))
    (out / grid[2].id / "metrics.jsonl").write_text('{"step": 3, "kind": "train"}\n')
    assert seconds_left(out, Survey(out, grid).look())[0] == pytest.approx(15.0)


def test_runs_of_other_sizes_are_read_off_a_line():
    known = [(3.0, 1e9), (4.0, 2e9), (6.0, 4e9)]  # two seconds, and one for every 1e9 operations
    assert _on_line(known, 1e10) == pytest.approx(12.0)
    assert _on_line([(4.0, 2e9), (4.0, 2e9)], 1e9) == pytest.approx(2.0)
    assert _on_line([(4.0, 1e9), (2.0, 3e9)], 2e9) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status", "nowhere"), "nowhere is not a folder"),
        (("sweep", "figure1_scal"), "did you mean figure1_scale"),
        (("sweep", "figure1_scale", "steps=x", "--dry-run"), "steps is a whole number"),
        (("sweep", "figure1_scale", "--only", "a=1", "--dry-run"), "field of a run"),
        (("sweep", "figure1_scale", "--only", "seed=7", "--dry-run"), "no run matches seed=7"),
        (("sweep", "figure1_scale", "task=super_glue/rt", "--dry-run"), "mean super_glue/rte"),
        (("sweep", "figure1_scale", "prompt.length=0", "--dry-run"), "length 0 is outside"),
        (("sweep", "figure1_scale", "--setting", "full", "--dry-run"), "paper and pocket"),
        (("sweep", "figure1_scale", "--out", __file__, "--dry-run"), "is not a folder"),
        (("sweep", "figure1_scale", "--out", __file__), "is not a folder"),
        (
            ("sweep", "pocket", "--out", "no", "--detach"),
            "detach is for the executor slurm",
        ),
        (
            ("sweep", "pocket", "--out", "no", "--gpus", "1"),
            "gpus is for the executor ray",
        ),
        (("sweep", "figure4_parameters"), "has nothing to run"),
        (("results", __file__), "is not a folder"),
    ],
)
def test_bad_words_are_answered_in_one_line(words, message):
    status, _, err = call(*words)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_folder_of_no_sweep_is_named(tmp_path):
    status, _, err = call("status", tmp_path)
    assert (status, "holds no sweep" in err) == (2, True)
    status, _, err = call("results", tmp_path)
    assert (status, "neither a sweep nor finished runs" in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_model_that_was_pretrained_beside_them_is_no_damaged_run(tmp_path):
    for name in ("pretraining.json", "result.json"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}")
    status, text, _ = call("results", tmp_path)
    assert status == 0
    assert text.startswith("no finished runs")


def test_a_name_that_cannot_be_exported_is_refused_before_anything_is_written(swept):
    status, _, err = call("results", swept / "swept", "--export", swept / "x.txt")
    assert (status, "must end in .csv" in err) == (2, True)
    assert not (swept / "swept" / "results.parquet").exists()


def test_evaluations_are_counted_and_missed(swept, grid):
    file = swept / "experiments" / "tiny.py"
    file.write_text(
        file.read_text() + "from prompt_tuning.sweep.evaluations import Elsewhere, Reading\n"
        "def evaluations(runs):\n    return [Reading(runs[0]), Elsewhere(runs[0], 'no/task')]\n"
    )
    out = swept / "swept"
    words = ("sweep", file, "--out", out)
    assert "2 evaluations of tuned prompts, 0 of them done" in call(*words, "--dry-run")[1]
    status, text, err = call(*words)
    assert (status, err) == (1, "")
    assert f"no-task-validation of {grid[0].id} failed: unknown task" in text
    assert "1 of 2 evaluations are not done" in text
    assert "1 of 2 evaluations of tuned prompts are done" in call("status", out)[1]


def test_a_plan_is_kept_while_another_process_works_on_it(make, tmp_path):
    first, second = make(seed=1), make(seed=2)
    save_plan(tmp_path, "tiny", [first], ["a.json"])
    (tmp_path / first.id).mkdir()
    with lock(tmp_path / first.id):
        save_plan(tmp_path, "tiny", [second], ["b.json"])
        assert planned_runs(tmp_path) == [first, second]
        assert planned_evaluations(tmp_path) == [tmp_path / "a.json", tmp_path / "b.json"]
    save_plan(tmp_path, "tiny", [second])
    assert planned_runs(tmp_path) == [second]
