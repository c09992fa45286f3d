"""tensorflow-datasets without TensorFlow: prepare, read, and fail in one line."""

import gzip
import importlib
import importlib.util
import json
import shutil
import sys

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import DataConfig, get_task
from prompt_tuning.tasks.catalog import get_dataset
from prompt_tuning.tasks.sources.prepare import prepare_dataset
from prompt_tuning.tasks.sources.tfds import default_data_dir
from prompt_tuning.tasks.sources.without_tensorflow import without_tensorflow
from tests.tasks.conftest import GLUE, SUPERGLUE, pack, sha256, unpack

NO_TENSORFLOW = importlib.util.find_spec("tensorflow") is None


def prepare(name, data_dir, manual, archive=None, lines=None):
    accept = {archive: sha256(next(manual.rglob(archive)))} if archive else {}
    said = [] if lines is None else lines
    return prepare_dataset(get_dataset(name), str(data_dir), str(manual), accept, said.append)


@pytest.fixture(scope="session")
def prepared(archives, tmp_path_factory):
    """All SuperGLUE fixtures, prepared."""
    data_dir = tmp_path_factory.mktemp("tfds")
    for short, archive in SUPERGLUE.items():
        folder = archives / "super_glue"
        prepare(f"super_glue/{short}", data_dir, folder, f"{archive}.zip")
    return data_dir


def compare(name, data_dir, folder):
    """Both sources give the same examples, in the same order, in both forms."""
    ours = get_task(name, DataConfig("tfds", str(data_dir)))
    local = get_task(name, data_dir=str(folder))
    assert ours.splits == local.splits
    compared = 0
    for split in ours.splits:
        for training in (False,) if name == "super_glue/wsc" else (True, False):
            if split == "test" and training:
                continue
            expected = local.load(split, training)
            assert ours.load(split, training) == expected
            compared += len(expected)
    assert compared > 0


@pytest.mark.parametrize("short", SUPERGLUE)
def test_superglue_equals_the_local_reader(prepared, unpacked, short):
    compare(f"super_glue/{short}", prepared, unpacked)


@pytest.mark.parametrize("short", [*GLUE, "mnli_matched", "mnli_mismatched", "ax"])
def test_glue_equals_the_local_reader(archives, unpacked, tmp_path, short):
    archive = "tsvsWithoutLabels_AX.tsv" if short == "ax" else GLUE[short.split("_")[0]][0]
    prepare(f"glue/{short}", tmp_path, archives / "glue", archive)
    compare(f"glue/{short}", tmp_path, unpacked)


def jsonl(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_generated_archives_equal_the_local_reader(tmp_path):
    """Needs nothing but the packages: zips of made-up rows through the whole path."""
    text = "The cat saw Ann . She ran ."
    target = {"span1_text": "the cat", "span1_index": 0, "span2_text": "She", "span2_index": 5}
    row = {"text": text, "target": target, "idx": 0, "label": True}
    second = row | {"idx": 1, "label": False, "target": target | {"span1_text": "ann."}}
    unlabelled = {k: v for k, v in row.items() if k != "label"}
    files = {
        "WSC/train.jsonl": jsonl(row, second),
        "WSC/val.jsonl": jsonl(second),
        "WSC/test.jsonl": jsonl(unlabelled),
    }
    pack(tmp_path / "manual" / "WSC.zip", files)
    unpack(tmp_path / "manual" / "WSC.zip", tmp_path / "official")
    prepare("super_glue/wsc", tmp_path, tmp_path / "manual", "WSC.zip")
    ours = get_task("super_glue/wsc", DataConfig("tfds", str(tmp_path)))
    local = get_task("super_glue/wsc", data_dir=str(tmp_path / "official"))
    for split in ours.splits:
        assert ours.load(split) == local.load(split)
    assert ours.load("train")[0].target == "The cat"  # the span as the text has it
    article = {
        "idx": 4,
        "passage": {
            "text": "Ann met Bo.",
            "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 9}],
        },
        "qas": [
            {"idx": 9, "query": "@placeholder left", "answers": [{"text": "Bo"}, {"text": "Ann"}]}
        ],
    }
    files = {f"ReCoRD/{name}.jsonl": jsonl(article) for name in ("train", "val", "test")}
    pack(tmp_path / "manual" / "ReCoRD.zip", files)
    unpack(tmp_path / "manual" / "ReCoRD.zip", tmp_path / "official")
    prepare("super_glue/record", tmp_path, tmp_path / "manual", "ReCoRD.zip")
    compare("super_glue/record", tmp_path, tmp_path / "official")


def test_official_rows_of_superglue_equal_the_local_reader(shared_data, tmp_path):
    """Whole official files, WSC's corrected spans among them."""
    for short in ("cb", "copa", "wsc"):
        folder = SUPERGLUE[short]
        files = {
            f"{folder}/{name}.jsonl": (shared_data / "superglue" / folder / f"{name}.jsonl")
            for name in ("train", "val")
        }
        content = {name: path.read_bytes() for name, path in files.items()}
        row = json.loads(content[f"{folder}/val.jsonl"].splitlines()[0])
        del row["label"]
        content[f"{folder}/test.jsonl"] = json.dumps(row).encode()
        pack(tmp_path / "manual" / f"{folder}.zip", content)
        name = f"super_glue/{short}"
        prepare(name, tmp_path / "data", tmp_path / "manual", f"{folder}.zip")
        ours = get_task(name, DataConfig("tfds", str(tmp_path / "data")))
        local = get_task(name, data_dir=str(shared_data))
        for split in ("train", "validation"):
            assert ours.load(split, False) == local.load(split, False)
            assert ours.load(split) == local.load(split)


def test_other_sets_equal_the_local_reader(shared_data, tmp_path):
    manual = tmp_path / "manual"
    manual.mkdir()
    shutil.copy(shared_data / "qa" / "race.json", manual / "train-v1.1.json")
    shutil.copy(shared_data / "qa" / "duorc.json", manual / "dev-v1.1.json")
    accept = {name: sha256(manual / name) for name in ("train-v1.1.json", "dev-v1.1.json")}
    for split in ("train", "test"):
        (manual / f"{split}.c.txt").write_text(
            f"Tom asked Ann if he could pay {split}.\nhe\nTom,Ann\nTom\n\n"
            "Bees (x) land on flowers because they have pollen.\nthey\nBees, flowers\nflowers\n\n"
        )
        accept[f"{split}.c.txt"] = sha256(manual / f"{split}.c.txt")
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    table = header + '1\t1\t2\tA "b.\tB.\n0\t3\t4\tC.\tD é.\n1\t5\t6\tE\tF\n'
    for name, text in {
        "msr_paraphrase_train.txt": "\ufeff" + table,
        "msr_paraphrase_test.txt": table,
        "data_mrpc_dev_ids.tsv": "3\t4\n",
    }.items():
        (manual / name).write_text(text, encoding="utf-8")
        accept[name] = sha256(manual / name)
    for name in ("squad", "dpr", "glue/mrpc"):
        prepare_dataset(get_dataset(name), str(tmp_path), str(manual), accept, lambda line: None)
        compare(name, tmp_path, manual)


def mrqa(path, dataset, contexts):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"header": {"dataset": dataset}}]
    for number in range(contexts):
        detected = {"text": "number", "char_spans": [[1, 2], [4, 5]], "token_spans": [[0, 1]]}
        question = {
            "question": " Why? ",
            "question_tokens": [["Why", 0]],
            "answers": ["x", "number"],
            "detected_answers": [detected],
        }
        questions = [question | {"qid": f"{dataset}{number}{q}"} for q in range(number + 1)]
        context = f" A \u00a0 context\tnumber {number}. "
        lines.append({"context": context, "context_tokens": [["A", 0]], "qas": questions})
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))


def test_mrqa_from_manual_files_of_the_same_name(tmp_path):
    manual = tmp_path / "manual"
    mrqa(manual / "train" / "NewsQA.jsonl.gz", "NewsQA", 3)
    mrqa(manual / "dev" / "NewsQA.jsonl.gz", "NewsQA", 2)
    mrqa(manual / "BioASQ.jsonl.gz", "BioASQ", 2)
    for name, sizes in (("mrqa/newsqa", [6, 3]), ("mrqa/bioasq", [3])):
        prepare(name, tmp_path, manual)
        compare(name, tmp_path, manual)
        task = get_task(name, DataConfig("tfds", str(tmp_path)))
        assert [len(task.load(split)) for split in task.splits] == sizes


def test_a_wrong_checksum_leaves_nothing_prepared(archives, tmp_path):
    with pytest.raises(UserError, match=r"RTE\.zip has the wrong checksum: expected sha256 63"):
        prepare("super_glue/rte", tmp_path, archives)
    assert not list(tmp_path.rglob("*.array_record*"))
    assert not list(tmp_path.glob("unpack-*"))
    with pytest.raises(UserError, match="super_glue/rte is not prepared in"):
        get_task("super_glue/rte", DataConfig("tfds", str(tmp_path))).load("train")
    # The right file afterwards: nothing of the failure is in the way.
    lines = []
    prepare("super_glue/rte", tmp_path, archives / "super_glue", "RTE.zip", lines)
    assert "train 3, validation 2, test 1 rows" in lines[-1]
    lines.clear()
    prepare("super_glue/rte", tmp_path, archives, lines=lines)
    assert "already prepared" in lines[0]


def test_suites_with_archives_of_one_name_are_told_apart(archives, tmp_path):
    for suite in ("super_glue", "glue"):
        name = f"{suite}/rte"
        accept = {"RTE.zip": sha256(archives / suite / "RTE.zip")}
        prepare_dataset(get_dataset(name), str(tmp_path), str(archives), accept, lambda line: None)
    texts = [
        get_task(name, DataConfig("tfds", str(tmp_path))).load("train")[0].input
        for name in ("super_glue/rte", "glue/rte")
    ]
    assert texts[0].startswith("hypothesis: ")
    assert texts[1].startswith("sentence1: ")


def test_damaged_archives_are_one_line(tmp_path):
    manual = tmp_path / "manual"
    manual.mkdir()
    (manual / "CB.zip").write_bytes(b"not a zip")
    with pytest.raises(UserError, match="super_glue/cb: cannot be prepared: ") as caught:
        prepare("super_glue/cb", tmp_path / "data", manual, "CB.zip")
    assert "\n" not in str(caught.value)
    pack(manual / "CB.zip", {"CB/train.jsonl": b'{"premise": "x"'})
    with pytest.raises(UserError, match="super_glue/cb: cannot be prepared: "):
        prepare("super_glue/cb", tmp_path / "data", manual, "CB.zip")
    assert not list((tmp_path / "data").rglob("*array_record*"))
    with pytest.raises(UserError, match="there is no folder"):
        prepare("super_glue/cb", tmp_path / "data", tmp_path / "absent")


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    manager = importlib.import_module("tensorflow_datasets.core.download.download_manager")

    def refuse(self, resource):
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(manager.DownloadManager, "_download", refuse)
    with pytest.raises(UserError, match=r"no route to host; without a network, put the official"):
        prepare_dataset(get_dataset("super_glue/cb"), str(tmp_path), progress=lambda line: None)


def test_damaged_prepared_files(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared / "super_glue" / "cb", copy / "super_glue" / "cb")
    task = get_task("super_glue/cb", DataConfig("tfds", str(copy)))
    assert len(task.load("train")) == 3
    [record] = copy.rglob("*train.array_record*")
    whole = record.read_bytes()
    record.write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"cannot read .* split train: .*delete the folder"):
        task.load("train")
    record.write_bytes(whole[:100] + bytes(40) + whole[140:])
    with pytest.raises(UserError, match=r"cannot read .* split train: .*delete the folder"):
        task.load("train")
    record.write_bytes(whole)
    info = next(copy.rglob("dataset_info.json"))
    content = json.loads(info.read_text())
    [train] = [split for split in content["splits"] if split["name"] == "train"]
    assert train["shardLengths"] == ["3"]
    train["shardLengths"] = ["4"]
    info.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"rows where its own record says 4|cannot read"):
        task.load("train")
    with pytest.raises(UserError, match="has no split 'dev'"):
        task.load("dev")


def test_the_stand_in_leaves_no_trace():
    owners = [
        importlib.import_module("tensorflow_datasets.text.super_glue"),
        importlib.import_module("tensorflow_datasets.core.download.extractor"),
        importlib.import_module("tensorflow_datasets.core.features.feature").TensorInfo,
    ]
    before = [dict(vars(owner)) for owner in owners]

    def fail_inside():
        with without_tensorflow():
            replaced = vars(owners[0])["tf"] is not before[0]["tf"]
            raise RuntimeError(str(replaced))

    with pytest.raises(RuntimeError, match=str(NO_TENSORFLOW)):
        fail_inside()
    assert [dict(vars(owner)) for owner in owners] == before
    assert "tensorflow" not in sys.modules or not NO_TENSORFLOW


def test_where_the_data_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert default_data_dir(None).name == "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "here"))
    assert default_data_dir(None) == tmp_path / "here"
    assert default_data_dir("there").name == "there"
    with pytest.raises(UserError, match="prompt-tuning data prepare glue/sst2"):
        get_task("glue/sst2").load("train")
