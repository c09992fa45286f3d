"""The commands from end to end, on a tiny model."""

import io
import json
import re
import shutil

import numpy as np

from prompt_tuning.prompts.prompt import Prompt, load_prompt
from prompt_tuning.t5.load import load_t5


def test_train_leaves_the_run_that_was_asked_for(trained):
    config = json.loads((trained / "config.json").read_text())
    assert (config["task"], config["steps"], config["prompt"]["length"]) == ("toy", 4, 3)
    assert config["optimizer"]["learning_rate"] == 0.3
    assert config["user_task"]["template"] == "review: {text}"
    assert load_prompt(trained / "best_prompt.safetensors").length == 3
    assert (trained / "result.json").exists()


def test_train_again_is_nothing_to_do(run, trained, flags):
    before = (trained / "metrics.jsonl").read_bytes()
    status, text, _ = run("train", "paper", *flags, "--out", trained.parent)
    assert status == 0
    assert text.startswith(f"{trained}\n")
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_train_from_saved_configurations(run, trained, tmp_path, monkeypatch):
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


def test_evaluate_a_run(run, trained, tmp_path):
    status, text, err = run("evaluate", trained, "--out", tmp_path / "out", "--limit", 8)
    assert status == 0, err
    result = json.loads((trained / "result.json").read_text())
    assert re.search(rf"accuracy +{result['score']:.2f}\n", text)
    # The first 8 examples are the dev split that the run was scored on.
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == (
        trained / "predictions.jsonl"
    ).read_bytes()


def test_evaluate_a_run_on_another_task(run, trained):
    """The run's own files and its limit (of its dev split) are not those of the other task."""
    words = ("--task", "pocket/topic", "--max-target-length", 12, "--method", "score")
    status, text, err = run("evaluate", trained, *words)
    assert status == 0, err
    assert text.startswith("pocket/topic, split validation: 480 examples\n")


def test_evaluate_keeps_what_goes_with_the_model_of_the_run(run, trained, tmp_path, monkeypatch):
    folder, asked = tmp_path / "run", []
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"revision": "abc", "tokenizer": "x"}))
    monkeypatch.setattr("prompt_tuning.cli.evaluate._evaluate", asked.append)
    other = ("--model", "google/other")
    for words in ((), other, (*other, "--revision", "def")):
        assert run("evaluate", folder, *words)[0] == 0
    assert [flags.revision for flags in asked] == ["abc", None, "def"]
    assert [flags.tokenizer for flags in asked] == ["x", None, None]


def test_evaluate_a_run_on_a_task_of_ones_own(run, trained, task_file, tmp_path, monkeypatch):
    """Where the catalogue's data lie is of the run's task only; what is named is kept."""
    folder, asked = tmp_path / "run", []
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"user_task": None, "data": config["data"] | {"dir": "there"}}
    (folder / "config.json").write_text(json.dumps(config | {"task_name_in_text": True}))
    monkeypatch.setattr("prompt_tuning.cli.evaluate._evaluate", asked.append)
    own = ("--task", "toy", "--user-task", task_file)
    for words in ((), own, (*own, "--data.dir", "here", "--task-name-in-text")):
        assert run("evaluate", folder, *words)[0] == 0
    assert [flags.data.dir for flags in asked] == ["there", None, "here"]
    assert [flags.task_name_in_text for flags in asked] == [True, False, True]


def test_evaluate_by_flags(run, trained, tiny_t5, task_file):
    by_run = run("evaluate", trained, "--method", "score", "--limit", 8)
    words = ["--task", "toy", "--user-task", task_file, "--method", "score", "--limit", 8]
    lengths = ["--max-input-length", 32, "--max-target-length", 4]
    prompt = ["--prompt", trained / "best_prompt.safetensors"]
    by_flags = run("evaluate", *words, *lengths, *prompt, "--model", tiny_t5)
    assert by_flags == by_run
    assert by_run[0] == 0
    assert re.search(r"invalid +0\.00\n", by_run[1])


def test_evaluate_writes_a_submission(run, trained, tiny_t5, tmp_path):
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


def test_predict_from_file_to_file_and_through_pipes(run, trained, tmp_path, monkeypatch):
    requests = [
        {"prompt": "mood", "input": "review: the film was good", "labels": ["no", "yes"], "id": 5},
        {
            "prompt": None,
            "input": "review: the film was bad",
            "labels": ["no", "yes"],
            "é": "\ud800",
        },
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


def test_prompts_are_shown_converted_and_read(run, trained, tmp_path):
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


def test_neighbours_in_another_base_are_shown_only_if_forced(run, refused, trained, tmp_path):
    prompt = load_prompt(trained / "best_prompt.safetensors")
    metadata = {**prompt.metadata, "base_fingerprint": "0" * 64}
    Prompt(prompt.array, metadata=metadata).save(tmp_path / "other")
    assert "is not that model" in refused("prompt", "neighbours", tmp_path / "other")
    assert run("prompt", "neighbours", tmp_path / "other", "--force")[0] == 0


def test_a_bare_prompt_learns_its_base(run, refused, trained, tiny_t5, tmp_path):
    prompt = load_prompt(trained / "best_prompt.safetensors")
    Prompt(prompt.array).save(tmp_path / "bare.npy", "npy")
    assert "--model" in refused("prompt", "neighbours", tmp_path / "bare.npy")
    run("prompt", "convert", tmp_path / "bare.npy", tmp_path / "known", "--model", tiny_t5)
    known = load_prompt(tmp_path / "known").metadata
    assert known["base_fingerprint"] == prompt.metadata["base_fingerprint"]
    hub = {"base_model": "google/t5-small", "base_revision": "abc"}
    Prompt(prompt.array, metadata=hub).save(tmp_path / "hub")
    run("prompt", "convert", tmp_path / "hub", tmp_path / "known", "--model", tiny_t5)
    known = load_prompt(tmp_path / "known").metadata
    assert "base_revision" not in known
    assert known["base_model"] == str(tiny_t5)


def test_convert_a_model(run, refused, tiny_t5, tmp_path):
    status, text, err = run("convert", tiny_t5, tmp_path / "half", "--dtype", "bfloat16")
    assert status == 0, err
    assert "bfloat16" in text
    assert load_t5(tmp_path / "half").fingerprint == load_t5(tiny_t5).fingerprint
    assert "already exists" in refused("convert", tiny_t5, tmp_path / "half")


def test_data_commands(run, refused, tmp_path):
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


def test_long_texts_are_reported(run, trained, tmp_path):
    status, _, err = run("evaluate", trained, "--max-input-length", 8, "--method", "score")
    assert status == 0
    assert re.fullmatch(r"warning: .* inputs are longer than 8 tokens and lose their end\n", err)
