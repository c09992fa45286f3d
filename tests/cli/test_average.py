"""`average`: the benchmarks' averages over results."""

import json
import re

import pytest

from prompt_tuning.tasks.scoring import GLUE, SUPERGLUE


@pytest.fixture
def result(tmp_path):
    """A function that writes the result of a run and gives its directory."""

    def write(task, score, split="validation"):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        run = {"task": task, "dev_split": split}
        (folder / "result.json").write_text(json.dumps({"run": run, "score": score, "invalid": 1}))
        return folder

    return write


def test_average_of_superglue(run, result):
    folders = [result(f"super_glue/{name}", 10.0 * n) for n, name in enumerate(SUPERGLUE)]
    status, text, err = run("average", *folders)
    assert status == 0, err
    assert "SuperGLUE average  35.00\n" in text
    assert re.search(r"super_glue/cb +validation +10\.00 +1\.00\n", text)
    assert "\nGLUE" not in text
    # Two seeds of one task count by their mean; tasks of other suites do not count.
    more = [result("super_glue/boolq", 80.0), result("glue/rte", 3.0), result("toy", 4.0)]
    text = run("average", *folders, *more)[1]
    assert "SuperGLUE average  40.00\n" in text
    assert "GLUE average  -  (missing: cola, sst2, mrpc, qqp, stsb, mnli, qnli)\n" in text
    # RTE is a task of both benchmarks: GLUE's does not stand in for SuperGLUE's.
    text = run("average", *folders[:5], *folders[6:], more[1])[1]
    assert "SuperGLUE average  -  (missing: rte)\n" in text


def test_average_of_glue_needs_both_halves_of_mnli(run, result):
    folders = [result(f"glue/{name}", 50.0) for name in GLUE if name != "mnli"]
    matched = result("glue/mnli", 80.0, "validation_matched")
    assert "(missing: mnli)" in run("average", *folders, matched)[1]
    other = result("glue/mnli_mismatched", 100.0)
    assert "GLUE average  55.00\n" in run("average", *folders, matched, other)[1]


def test_average_reads_runs_and_evaluations(run, refused, trained, tmp_path):
    assert run("evaluate", trained, "--out", tmp_path / "out", "--limit", 8)[0] == 0
    (first, second) = run("average", trained, tmp_path / "out" / "scores.json")[1].splitlines()[1:]
    assert first == second
    assert f"{json.loads((trained / 'result.json').read_text())['score']:.2f}" in first
    assert "neither result.json" in refused("average", tmp_path)
    assert "is no result" in refused("average", trained / "config.json")
    assert "name directories" in refused("average")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    (tmp_path / "scores.json").write_text(json.dumps({**scores, "scores": None}))
    assert "has no labels" in refused("average", tmp_path)
