"""SuperGLUE submission files, from generated test rows."""

import json
import os
import zipfile

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import get_task
from prompt_tuning.tasks.base import Example
from prompt_tuning.tasks.submission import write_submission, zip_submission

FILES = {
    "super_glue/boolq": "BoolQ.jsonl",
    "super_glue/cb": "CB.jsonl",
    "super_glue/copa": "COPA.jsonl",
    "super_glue/multirc": "MultiRC.jsonl",
    "super_glue/record": "ReCoRD.jsonl",
    "super_glue/rte": "RTE.jsonl",
    "super_glue/wic": "WiC.jsonl",
    "super_glue/wsc": "WSC.jsonl",
    "super_glue/axb": "AX-b.jsonl",
    "super_glue/axg": "AX-g.jsonl",
}


def submit(name, folder, *answers):
    """The lines written for (id, output) pairs, and the result."""
    examples = [Example(identity, "text", "Tom") for identity, _ in answers]
    task = get_task(name)
    done = write_submission(task, examples, [output for _, output in answers], folder)
    assert done.path == folder / FILES[name]
    return [json.loads(line) for line in done.path.read_text().splitlines()], done


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("super_glue/boolq", ["True", "False"], ["true", "false"]),
        ("super_glue/wic", ["False", "True"], ["false", "true"]),
        ("super_glue/cb", ["neutral", "entailment"], ["neutral", "entailment"]),
        ("super_glue/copa", ["choice2", "choice1"], [1, 0]),
        ("super_glue/rte", ["not_entailment", "entailment"], ["not_entailment", "entailment"]),
        ("super_glue/axb", ["entailment", "entailment"], ["entailment", "entailment"]),
        ("super_glue/axg", ["entailment", "not_entailment"], ["entailment", "not_entailment"]),
        ("super_glue/wsc", ["the Tom", "Ann"], ["True", "False"]),
    ],
)
def test_plain_forms_in_the_order_of_the_file(tmp_path, name, outputs, labels):
    lines, done = submit(name, tmp_path, ("10", outputs[1]), ("2", outputs[0]))
    assert lines == [{"idx": 2, "label": labels[0]}, {"idx": 10, "label": labels[1]}]
    assert (done.rows, done.replaced) == (2, 0)


def test_multirc_is_nested(tmp_path):
    lines, _ = submit(
        "super_glue/multirc",
        tmp_path,
        ("1/4/0", "True"),
        ("0/1/1", "True"),
        ("0/1/0", "False"),
        ("0/0/0", "True"),
    )
    assert lines == [
        {
            "idx": 0,
            "passage": {
                "questions": [
                    {"idx": 0, "answers": [{"idx": 0, "label": 1}]},
                    {"idx": 1, "answers": [{"idx": 0, "label": 0}, {"idx": 1, "label": 1}]},
                ]
            },
        },
        {
            "idx": 1,
            "passage": {"questions": [{"idx": 4, "answers": [{"idx": 0, "label": 1}]}]},
        },
    ]


def test_record_goes_by_query(tmp_path):
    lines, done = submit("super_glue/record", tmp_path, ("7/12", ""), ("7/3", "J. Doe"))
    assert lines == [{"idx": 3, "label": "J. Doe"}, {"idx": 12, "label": ""}]
    assert done.replaced == 0


def test_illegal_outputs_become_the_first_label_and_are_counted(tmp_path):
    lines, done = submit("super_glue/rte", tmp_path, ("0", "banana"), ("1", ""))
    assert [line["label"] for line in lines] == ["entailment"] * 2
    assert (done.rows, done.replaced) == (2, 2)


def test_nothing_half_written(tmp_path, monkeypatch):
    submit("super_glue/rte", tmp_path, ("0", "entailment"))
    before = (tmp_path / "RTE.jsonl").read_bytes()

    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=r"cannot write .*RTE\.jsonl: disk full"):
        submit("super_glue/rte", tmp_path, ("0", "not_entailment"))
    assert (tmp_path / "RTE.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["RTE.jsonl"]


def test_bad_calls(tmp_path):
    with pytest.raises(UserError, match="occurs twice"):
        submit("super_glue/rte", tmp_path, ("0", "entailment"), ("0", "entailment"))
    with pytest.raises(UserError, match="is no SuperGLUE task"):
        write_submission(get_task("glue/rte"), [], [], tmp_path)
    with pytest.raises(ValueError, match="0 examples but 1 predictions"):
        write_submission(get_task("super_glue/rte"), [], ["x"], tmp_path)


def test_generated_test_rows_of_every_task_make_one_zip(unpacked, tmp_path):
    for name in FILES:
        task = get_task(name, data_dir=str(unpacked))
        examples = task.load("test")
        outputs = [task.labels[-1] if task.labels else "somebody" for _ in examples]
        done = write_submission(task, examples, outputs, tmp_path)
        assert done.replaced == 0
        if name != "super_glue/multirc":
            assert len(done.path.read_text().splitlines()) == len(examples)
    archive = tmp_path / "zips" / "submission.zip"
    assert zip_submission(tmp_path, archive) == []
    with zipfile.ZipFile(archive) as packed:
        assert sorted(packed.namelist()) == sorted(FILES.values())
        assert {info.compress_type for info in packed.infolist()} == {zipfile.ZIP_DEFLATED}
        assert packed.read("CB.jsonl") == (tmp_path / "CB.jsonl").read_bytes()
    first = archive.read_bytes()
    (tmp_path / "CB.jsonl").unlink()
    assert zip_submission(tmp_path, archive) == ["CB.jsonl"]
    assert archive.read_bytes() != first
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/x\.zip"):
        zip_submission(tmp_path, tmp_path / "file" / "x.zip")
    with pytest.raises(UserError, match="has no submission files"):
        zip_submission(tmp_path / "zips", archive)
