"""Help, misspelt words, bad input and the exit status."""

import json
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning.cli import COMMANDS, Group
from prompt_tuning.prompts.prompt import Prompt
from prompt_tuning.training.records import lock
from prompt_tuning.training.stop import Interrupted


def every_command(group=COMMANDS, words=()):
    yield list(words)
    for name, inner in group.commands.items():
        if isinstance(inner, Group):
            yield from every_command(inner, (*words, name))
        else:
            yield [*words, name]


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_is_complete(run, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    status, text, _ = run(*words, "--help")
    assert status == 0
    plain = re.sub(r"[│╭╮╰╯─•]", " ", text)
    # Every flag is followed by words of its own before its default.
    for flag in re.finditer(
        r"^ *(--[\w.-]+)([^()]*)\((?:default|required|repeatable)", plain, re.M
    ):
        words = re.sub(r"--\S+|\{[^}]*\}|\[[^]]*\]|\b[A-Z]{3,}\b", " ", flag[2]).split()
        assert words, f"{flag[1]} has no help"


def test_version_and_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "prompt_tuning", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_help_imports_nothing_heavy():
    program = "import sys; from prompt_tuning.cli import main\ntry: main(['--help'])\nfinally: "
    program += "print(sorted({'jax', 'flax', 'tensorstore', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["trian"], "did you mean train"),
        (["train", "papre"], "did you mean paper"),
        (["prompt", "neighbors"], "did you mean neighbours"),
        (["train", "paper", "--task", "x", "--batch-sise", "3"], "--batch-size"),
        (["train", "paper", "--task", "x", "--prompt.lenght", "3"], "--prompt.length"),
        (["evaluate", "--task", "x", "--splitt", "test"], "--split"),
        (["predict", "--promt", "a=b"], "--prompt"),
        (["doctor", "--modle", "x"], "--model"),
        (["train", "paper", "--taks", "super_glue/rte"], "did you mean --task?"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(run, words, suggestion):
    status, _, err = run(*words)
    assert status == 2
    assert suggestion in err


def test_a_misspelt_field_gets_a_suggestion(refused, trained, tmp_path):
    config = json.loads((trained / "config.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**config, "stepz": 3}))
    assert "did you mean steps" in refused("train", "config", tmp_path / "c.json")
    (tmp_path / "t.json").write_text(json.dumps({"files": {}, "templat": "x"}))
    words = ("train", "paper", "--task", "toy", "--user-task", tmp_path / "t.json")
    assert "did you mean template" in refused(*words)


def test_bad_input_is_one_clear_line_and_leaves_nothing(refused, trained, flags, tiny_t5, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()

    def model(change):
        path = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tiny_t5, path)
        change(path)
        return path

    def task(rows):
        data = folder / f"{len(list(folder.iterdir()))}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = dict.fromkeys(("train", "validation", "test"), str(data))
        fields = {"template": "{text}", "label_field": "mood", "labels": {"0": "no", "1": "yes"}}
        data.with_suffix(".task").write_text(json.dumps({"files": files, **fields}))
        return data.with_suffix(".task")

    def cut(path):
        weights = path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

    unlabelled = task([{"text": "a", "mood": 0}, {"text": "a"}, {"text": "b"}])
    fields = json.loads(unlabelled.read_text())
    labelled = json.loads(task([{"text": "a", "mood": 0}]).read_text())["files"]
    files = {**labelled, "test": fields["files"]["test"]}
    unlabelled.write_text(json.dumps({**fields, "files": files}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    Prompt(np.ones((3, 16), np.float32), metadata={"base_fingerprint": "0" * 64}).save(
        tmp_path / "other"
    )
    out = tmp_path / "runs"
    train = ("train", "paper", *flags, "--out", out)
    cases = [
        ((*train, "--model", tmp_path / "empty"), "no T5 in this folder"),
        ((*train, "--model", tmp_path / "nowhere"), "no such file or folder"),
        ((*train, "--model", model(cut)), "model.safetensors"),
        ((*train, "--model", model(lambda p: (p / "tokenizer.json").unlink())), "no tokenizer"),
        ((*train, "--model", "random:tiny"), "no size 'tiny'"),
        ((*train, "--user-task", "None", "--task", "super_glue/rtee"), "super_glue/rte"),
        ((*train, "--user-task", task([{"text": "a", "mood": 2}])), "'2'"),
        ((*train, "--user-task", task([])), "no examples"),
        ((*train, "--user-task", task([{"txt": "a", "mood": 0}])), "'text' is missing"),
        ((*train, "--user-task", folder / "none.json"), "none.json"),
        ((*train, "--prompt.length", 0), "prompt length 0 is outside 1 to 4096"),
        ((*train, "--prompt.length", 5000), "prompt length 5000 is outside 1 to 4096"),
        ((*train, "--prompt.init", "file", "--prompt.path", tmp_path / "other"), "another base"),
        ((*train, "--prompt.init", "text"), "needs a text"),
        ((*train, "--steps", -1), "steps must be"),
        ((*train, "--log-every", 0), "log_every must be at least 1, not 0"),
        ((*train, "--save-seconds", -1), "save_seconds must be at least 0"),
        (("train", "paper", *flags, "--out", tmp_path / "file" / "runs"), "cannot write to"),
        ((*train, "--user-task", unlabelled, "--train-split", "test"), "2 of 3 rows have no label"),
        ((*train, "--user-task", unlabelled, "--dev-split", "test"), "2 of 3 rows have no label"),
        (("train", "config", "--seed", 5, trained, "--steps", 0), "name the file first"),
        (("train", "configs", tmp_path / "none.json"), "none.json"),
        (("train", "configs"), "no runs"),
        (("evaluate", "--task", "pocket/cb", trained), "name the run first, then the flags"),
        (("evaluate", tmp_path), "is not the directory of a run"),
        (("evaluate", trained, "--prompt", tmp_path / "other"), "made for another base"),
        (("evaluate", trained, "--split", "dev"), "no split 'dev'"),
        (("evaluate", trained, "--out", tmp_path / "file" / "out"), "cannot write to"),
        (("evaluate", trained, "--submission", tmp_path / "new"), "--split test, and no --limit"),
        (("evaluate", trained, "--split", "test", "--limit", 8, "--submission", tmp_path / "new"),
         "--split test, and no --limit"),
        (("evaluate", trained, "--split", "test", "--submission", tmp_path / "new"),
         "is no SuperGLUE task"),
        (("predict", tmp_path / "none.jsonl", "--prompt", f"a={trained}"), "none.jsonl"),
        (("predict", tmp_path / "file", "--prompt", "a"), "write it as NAME=PATH"),
        (("predict", tmp_path / "file"), "--model"),
        (("predict", tmp_path / "file", "--model", tiny_t5, "--out", tmp_path), "is a folder"),
        (("predict", trained / "config.json", "--model", tiny_t5), "line 1: not valid JSON"),
        (("prompt", "show", tmp_path / "empty"), "no prompt"),
        (("prompt", "show", trained / "config.json"), "is not a prompt"),
        (("convert", tmp_path / "empty", tmp_path / "new"), "no T5 in this folder"),
        (("convert", tiny_t5, "."), "already exists; name a new folder"),
        (("convert", "~nobody/at/home", tmp_path / "new"), "~nobody/at/home"),
        (("data", "verify"), "name a task"),
        (("data", "prepare"), "name a task"),
        (("pretrain", "--architecture", "small", "--tokenizer", "pocket", "--document", "pocket",
          "--seed", -1), "seed must be at least 0, not -1"),
    ]  # fmt: skip
    for words, message in cases:
        assert message in refused(*words), words
    assert not list(tmp_path.rglob("result.json"))
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "new").exists()
    # float16 is refused with its reason, on the command line and in a file.
    assert "overflow" in refused(*train, "--dtype", "float16")
    config = json.loads((trained / "config.json").read_text())
    (tmp_path / "half.json").write_text(json.dumps({**config, "dtype": "float16"}))
    words = ("train", "configs", tmp_path / "half.json", "--out", out)
    assert "overflow" in refused(*words)


def test_a_second_process_on_a_run_is_refused(refused, trained, flags):
    with lock(trained):
        message = refused("train", "paper", *flags, "--out", trained.parent)
    assert "in use by process" in message


def test_exit_status_of_a_signal_and_of_a_fault(run, monkeypatch, trained):
    def stopped(*args, **kwargs):
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("prompt_tuning.cli.train.train", stopped)
    status, _, err = run("train", "configs", trained)
    assert status == 128 + signal.SIGTERM
    assert err == "stopped by SIGTERM; saved, run again to go on\n"

    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("prompt_tuning.cli.train.train", broken)
    with pytest.raises(ZeroDivisionError):  # a fault of the program keeps its traceback
        run("train", "configs", trained)
