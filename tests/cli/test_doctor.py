"""`prompt-tuning doctor`: a sound set-up, and what is wrong with another."""

from prompt_tuning.cli import doctor as module


def test_doctor(run, tiny_t5, task_file, toy_files, tmp_path):
    status, text, err = run(
        "doctor", "--out", tmp_path / "new" / "runs", "--model", tiny_t5, "--user-task", task_file,
        "--tokenizer", tiny_t5,
    )  # fmt: skip
    assert status == 0, text + err
    for words in ("ok    Python", "ok    forward and gradient in float32", "GiB free for",
                  "parameters, float32", "validation: 24 examples", "all is well"):  # fmt: skip
        assert words in text
    assert not (tmp_path / "new").exists()  # looking changes nothing


def test_doctor_names_what_is_wrong(run, tmp_path, monkeypatch):
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
    wanted = ["numpy<1", "no-such-package>=2", 'torch>=2; extra == "parity"']
    monkeypatch.setattr(module.importlib.metadata, "requires", lambda name: wanted)
    texts = [finding.text for finding in module.versions() if finding.state == "fail"]
    assert len(texts) == 2
    assert "outside <1" in texts[0]
    assert "pip install 'no-such-package>=2'" in texts[1]


def test_doctor_asks_the_hub_only_if_told_to(run, monkeypatch):
    for check in ("versions", "devices", "numerics"):
        monkeypatch.setattr(f"prompt_tuning.cli.doctor.{check}", lambda: iter(()))
    status, text, _ = run("doctor", "--model", "t5-small")
    assert status == 0
    assert "t5-small is no folder here, perhaps a hub id: ask with --hub" in text
