"""Commands run in this process, and a short run to work on."""

import contextlib
import io
import json

import pytest

from prompt_tuning.cli import main


@pytest.fixture(scope="session")
def run():
    """A function that runs a command and gives its exit status, output and error output."""

    def call(*words) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main([str(word) for word in words])
            except SystemExit as stop:  # tyro's own
                status = stop.code
        return status, out.getvalue(), err.getvalue()

    return call


@pytest.fixture(scope="session")
def refused(run):
    """A function that runs a command and gives the one line with which it refuses its input."""

    def call(*words) -> str:
        status, _, err = run(*words)
        assert status == 2, err
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, err
        assert err.splitlines()[-1] == errors[0]
        return errors[0]

    return call


@pytest.fixture(scope="session")
def task_file(toy_files, tmp_path_factory):
    """The toy task as the user writes it down."""
    path = tmp_path_factory.mktemp("task") / "toy.json"
    fields = {
        "files": toy_files,
        "template": "review: {text}",
        "label_field": "mood",
        "labels": {"no": "no", "yes": "yes"},
    }
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture(scope="session")
def flags(tiny_t5, task_file):
    """A short run."""
    words = f"--task toy --user-task {task_file} --model {tiny_t5} --prompt.init vocabulary"
    words += " --prompt.length 3 --steps 4 --eval-every 2 --batch-size 4 --max-input-length 32"
    return [*words.split(), "--max-target-length", "4", "--dev-examples", "8", "--quiet"]


@pytest.fixture(scope="session")
def trained(run, flags, tmp_path_factory):
    """The directory of a finished run."""
    out = tmp_path_factory.mktemp("cli") / "runs"
    status, text, err = run("train", "paper", *flags, "--out", out)
    assert status == 0, err
    [directory] = out.iterdir()
    assert text.startswith(f"{directory}\n  score ")
    assert err == ""
    return directory
