"""The command line from end to end, in this process, on a tiny model."""

import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning.cli import COMMANDS, Group, main
from prompt_tuning.prompts.prompt import Prompt, load_prompt
from prompt_tuning.t5.load import load_t5
from prompt_tuning.train.records import lock
from prompt_tuning.train.stop import Interrupted


def run(*words) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # tyro's own
            status = stop.code
    return status, out.getvalue(), err.getvalue()


def refused(*words) -> str:
    """The one line with which a command refuses its input."""
    status, _, err = run(*words)
    assert status == 2, err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert err.splitlines()[-1] == errors[0]
    return errors[0]


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
def trained(flags, tmp_path_factory):
    """The directory of a finished run."""
    out = tmp_path_factory.mktemp("cli") / "runs"
    status, text, err = run("train", "paper", *flags, "--out", out)
    assert status == 0, err
    [directory] = out.iterdir()
    assert text.startswith(f"{directory}\n  score ")
    assert err == ""
    return directory


def test_train_leaves_the_run_that_was_asked_for(trained):
    config = json.loads((trained / "config.json").read_text())
    assert (config["task"], config["steps"], config["prompt"]["length"]) == ("toy", 4, 3)
    assert config["optimizer"]["learning_rate"] == 0.3
    assert config["user_task"]["template"] == "review: {text}"
    assert load_prompt(trained / "best_prompt.safetensors").length == 3
    assert (trained / "result.json").exists()


def test_train_again_is_nothing_to_do(trained, flags):
    before = (trained / "metrics.jsonl").read_bytes()
    status, text, _ = run("train", "paper", *flags, "--out", trained.parent)
    assert status == 0
    assert text.startswith(f"{trained}\n")
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_train_from_saved_configurations(trained, tmp_path, monkeypatch):
    status, _, err = run(
        "train", "config", trained, "--seed", 3, "--optimizer.learning-rate", 0.1, "--quiet",
        "--out", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    [other] = tmp_path.iterdir()
    old, new = (json.loads((d / "config.json").read_text()) for d in (trained, other))
    assert (new["seed"], new["optimizer"]["learning_rate"]) == (3, 0.1)
    new["seed"], new["optimizer"]["learning_rate"] = 0, 0.3
    assert new == old
    # Several configurations are one population.
    asked = []
    monkeypatch.setattr(
        "prompt_tuning.cli.train.train", lambda runs, *_, **__: asked.extend(runs) or []
    )
    assert run("train", "configs", trained, other / "config.json")[0] == 0
    assert [run.to_dict() for run in asked] == [
        old,
        json.loads((other / "config.json").read_text()),
    ]


def test_evaluate_a_run(trained, tmp_path):
    status, text, err = run("evaluate", trained, "--out", tmp_path / "out", "--limit", 8)
    assert status == 0, err
    result = json.loads((trained / "result.json").read_text())
    assert re.search(rf"accuracy +{result['score']:.2f}\n", text)
    # The first 8 examples are the dev split that the run was scored on.
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == (
        trained / "predictions.jsonl"
    ).read_bytes()


def test_evaluate_by_flags(trained, tiny_t5, task_file):
    by_run = run("evaluate", trained, "--method", "score", "--limit", 8)
    words = ["--task", "toy", "--user-task", task_file, "--method", "score", "--limit", 8]
    lengths = ["--max-input-length", 32, "--max-target-length", 4]
    prompt = ["--prompt", trained / "best_prompt.safetensors"]
    by_flags = run("evaluate", *words, *lengths, *prompt, "--model", tiny_t5)
    assert by_flags == by_run
    assert by_run[0] == 0
    assert re.search(r"invalid +0\.00\n", by_run[1])


def test_evaluate_writes_a_submission(trained, tiny_t5, tmp_path):
    folder = tmp_path / "CB"
    folder.mkdir()
    rows = [{"idx": n, "premise": "good", "hypothesis": "bad"} for n in range(3)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, text, err = run(
        "evaluate", "--task", "super_glue/cb", "--data.source", "local", "--data.dir", folder,
        "--split", "test", "--method", "score", "--max-target-length", 16, "--model", tiny_t5,
        "--prompt", trained, "--submission", tmp_path / "submission",
    )  # fmt: skip
    assert status == 0, err
    lines = (tmp_path / "submission" / "CB.jsonl").read_text().splitlines()
    assert [json.loads(line)["idx"] for line in lines] == [0, 1, 2]
    assert {json.loads(line)["label"] for line in lines} <= {
        "entailment", "contradiction", "neutral",
    }  # fmt: skip
    assert "no labels: predictions only" in text
    status, text, _ = run("data", "zip", tmp_path / "submission", tmp_path / "all.zip")
    assert status == 0
    assert "BoolQ.jsonl" in text
    assert (tmp_path / "all.zip").exists()


def test_predict_from_file_to_file_and_through_pipes(trained, tmp_path, monkeypatch):
    requests = [
        {"prompt": "mood", "input": "review: the film was good", "labels": ["no", "yes"], "id": 5},
        {"prompt": None, "input": "review: the film was bad", "labels": ["no", "yes"]},
    ]
    text = "".join(json.dumps(request) + "\n" for request in requests)
    (tmp_path / "in.jsonl").write_text(text)
    prompt = ["--prompt", f"mood={trained}"]  # no --model: the prompt knows its base
    status, out, err = run("predict", tmp_path / "in.jsonl", *prompt, "--out", tmp_path / "o.jsonl")
    assert (status, out) == (0, ""), err
    answers = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [answer["output"] in ("no", "yes") for answer in answers] == [True, True]
    assert answers[0]["id"] == 5
    assert all(request.items() <= a.items() for request, a in zip(requests, answers, strict=True))
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    status, out, err = run("predict", *prompt)
    assert status == 0, err
    assert [json.loads(line) for line in out.splitlines()] == answers


def test_prompts_are_shown_converted_and_read(trained, tmp_path):
    status, text, _ = run("prompt", "show", trained)
    assert status == 0
    assert re.search(r"length +3\n", text)
    assert re.search(r"base_fingerprint +[0-9a-f]{64}\n", text)
    for format in ("npy", "t5x", "peft", "bundle"):
        assert run("prompt", "convert", trained, tmp_path / format, "--format", format)[0] == 0
        back = load_prompt(tmp_path / format)
        np.testing.assert_array_equal(
            back.array, load_prompt(trained / "best_prompt.safetensors").array
        )
    status, text, _ = run("prompt", "neighbours", trained, "--k", 2, "--labels", "yes", "no")
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()[:3]] == ["0", "1", "2"]
    assert "of the label 'yes' is near rows:" in text


def test_a_bare_prompt_learns_its_base(trained, tiny_t5, tmp_path):
    prompt = load_prompt(trained / "best_prompt.safetensors")
    Prompt(prompt.array).save(tmp_path / "bare.npy", "npy")
    assert "--model" in refused("prompt", "neighbours", tmp_path / "bare.npy")
    run("prompt", "convert", tmp_path / "bare.npy", tmp_path / "known", "--model", tiny_t5)
    known = load_prompt(tmp_path / "known").metadata
    assert known["base_fingerprint"] == prompt.metadata["base_fingerprint"]


def test_convert_a_model(tiny_t5, tmp_path):
    status, text, err = run("convert", tiny_t5, tmp_path / "half", "--dtype", "bfloat16")
    assert status == 0, err
    assert "bfloat16" in text
    assert load_t5(tmp_path / "half").fingerprint == load_t5(tiny_t5).fingerprint
    assert "already exists" in refused("convert", tiny_t5, tmp_path / "half")


def test_data_commands(tmp_path):
    folder = tmp_path / "CB"
    folder.mkdir()
    rows = [{"idx": n, "premise": "a", "hypothesis": "b", "label": "neutral"} for n in range(3)]
    (folder / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    local = ["--data.source", "local", "--data.dir", tmp_path]
    status, text, _ = run("data", "list", "--data-dir", tmp_path)
    assert status == 0
    assert re.search(r"super_glue/cb +- ", text)
    status, text, _ = run("data", "show", "super_glue/cb", *local, "--count", 1)
    assert status == 0
    assert "'hypothesis: b premise: a'" in text
    assert "neutral 3 (100.0 %)" in text
    status, text, _ = run("data", "verify", "super_glue/cb", "--splits", "validation", *local)
    assert status == 1
    assert text.startswith("fail  super_glue/cb, split validation: 3 rows")
    assert "did you mean super_glue/cb" in refused("data", "prepare", "super_glue/cbb")


def test_doctor(tiny_t5, task_file, toy_files, tmp_path):
    status, text, err = run(
        "doctor", "--out", tmp_path / "new" / "runs", "--model", tiny_t5, "--user-task", task_file,
        "--tokenizer", tiny_t5,
    )  # fmt: skip
    assert status == 0, text + err
    for words in ("ok    Python", "ok    forward and gradient in float32", "GiB free for",
                  "parameters, float32", "validation: 24 examples", "all is well"):  # fmt: skip
        assert words in text
    assert not (tmp_path / "new").exists()  # looking changes nothing


def test_doctor_names_what_is_wrong(tmp_path, monkeypatch):
    for check in ("versions", "devices", "numerics"):  # seen above
        monkeypatch.setattr(f"prompt_tuning.cli.doctor.{check}", lambda: iter(()))
    (tmp_path / "file").write_text("")
    status, text, _ = run(
        "doctor", "--out", tmp_path / "file" / "runs", "--model", tmp_path / "no" / "model",
        "--tokenizer", tmp_path, "--task", "super_glue/rte", "--data.source", "local",
        "--data.dir", tmp_path,
    )  # fmt: skip
    assert status == 1
    failures = [line for line in text.splitlines() if line.startswith("fail")]
    for line, words in zip(failures, ("cannot write", "no such", "no tokenizer", "train", "val"),
                           strict=True):  # fmt: skip
        assert words in line
    assert text.endswith("5 failures, 1 warnings\n")


def test_doctor_sees_wrong_versions(monkeypatch):
    from prompt_tuning.cli import doctor

    wanted = ["numpy<1", "no-such-package>=2", 'torch>=2; extra == "parity"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    texts = [finding.text for finding in doctor.versions() if finding.state == "fail"]
    assert len(texts) == 2
    assert "outside <1" in texts[0]
    assert "pip install 'no-such-package>=2'" in texts[1]


def every_command(group=COMMANDS, words=()):
    yield list(words)
    for name, inner in group.commands.items():
        if isinstance(inner, Group):
            yield from every_command(inner, (*words, name))
        else:
            yield [*words, name]


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_is_complete(words):
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
    ],
)
def test_a_misspelt_word_gets_a_suggestion(words, suggestion):
    status, _, err = run(*words)
    assert status == 2
    assert suggestion in err


def test_a_misspelt_field_gets_a_suggestion(trained, tmp_path):
    config = json.loads((trained / "config.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**config, "stepz": 3}))
    assert "did you mean steps" in refused("train", "config", tmp_path / "c.json")
    (tmp_path / "t.json").write_text(json.dumps({"files": {}, "templat": "x"}))
    words = ("train", "paper", "--task", "toy", "--user-task", tmp_path / "t.json")
    assert "did you mean template" in refused(*words)


def test_bad_input_is_one_clear_line_and_leaves_nothing(trained, flags, tiny_t5, tmp_path):
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
        files = {"train": str(data), "validation": str(data)}
        fields = {"template": "{text}", "label_field": "mood", "labels": {"0": "no", "1": "yes"}}
        data.with_suffix(".task").write_text(json.dumps({"files": files, **fields}))
        return data.with_suffix(".task")

    def cut(path):
        weights = path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

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
        ((*train, "--steps", 0), "steps must be at least 1"),
        (("train", "paper", *flags, "--out", tmp_path / "file" / "runs"), "cannot write to"),
        (("train", "configs", tmp_path / "none.json"), "none.json"),
        (("train", "configs"), "no runs"),
        (("evaluate", tmp_path), "is not the directory of a run"),
        (("evaluate", trained, "--prompt", tmp_path / "other"), "made for another base"),
        (("evaluate", trained, "--split", "dev"), "no split 'dev'"),
        (("evaluate", trained, "--out", tmp_path / "file" / "out"), "cannot write to"),
        (("predict", tmp_path / "none.jsonl", "--prompt", f"a={trained}"), "none.jsonl"),
        (("predict", tmp_path / "file", "--prompt", "a"), "write it as NAME=PATH"),
        (("predict", tmp_path / "file"), "--model"),
        (("predict", trained / "config.json", "--model", tiny_t5), "line 1: not valid JSON"),
        (("prompt", "show", tmp_path / "empty"), "no prompt"),
        (("prompt", "show", trained / "config.json"), "is not a prompt"),
        (("convert", tmp_path / "empty", tmp_path / "new"), "no T5 in this folder"),
    ]  # fmt: skip
    for words, message in cases:
        assert message in refused(*words), words
    assert not list(tmp_path.rglob("result.json"))
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "new").exists()
    # float16 is no choice on the command line, and refused with its reason in a file.
    assert run(*train, "--dtype", "float16")[0] == 2
    config = json.loads((trained / "config.json").read_text())
    (tmp_path / "half.json").write_text(json.dumps({**config, "dtype": "float16"}))
    words = ("train", "configs", tmp_path / "half.json", "--out", out)
    assert "overflow" in refused(*words)


def test_a_second_process_on_a_run_is_refused(trained, flags):
    with lock(trained):
        message = refused("train", "paper", *flags, "--out", trained.parent)
    assert "in use by process" in message


def test_long_texts_are_reported(trained, tmp_path):
    status, _, err = run("evaluate", trained, "--max-input-length", 8, "--method", "score")
    assert status == 0
    assert re.fullmatch(r"warning: .* inputs are longer than 8 tokens and lose their end\n", err)


def test_exit_status_of_a_signal_and_of_a_fault(monkeypatch, trained):
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
