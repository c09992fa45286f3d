"""Official files: layouts, label counts, truncation and every other defect."""

import gzip
import json
import shutil
from collections import Counter

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import DataConfig, get_task, user_task
from prompt_tuning.tasks.catalog import task_names

# Paper, Tables 8 to 14 and appendix A.3: shares in the validation sets, in percent.
SHARES = {
    "super_glue/boolq": {"True": 62.2, "False": 37.8},
    "super_glue/cb": {"contradiction": 50.0, "entailment": 41.1, "neutral": 8.9},
    "super_glue/copa": {"choice1": 55.0, "choice2": 45.0},
    "super_glue/multirc": {"False": 57.2, "True": 42.8},
    "super_glue/rte": {"entailment": 52.7, "not_entailment": 47.3},
    "super_glue/wic": {"False": 50.0, "True": 50.0},
}
# Paper, Table 7.
SIZES = {
    "super_glue/cb": (250, 56),
    "super_glue/copa": (400, 100),
    "super_glue/multirc": (27243, 4848),
    "super_glue/rte": (2490, 277),
    "super_glue/wic": (5428, 638),
    "super_glue/wsc": (259, 104),
    "glue/sst2": (67349, 872),
}


@pytest.mark.parametrize("name", SHARES)
def test_label_shares_equal_the_papers(shared_data, name):
    examples = get_task(name, data_dir=str(shared_data)).load("validation")
    counts = Counter(example.target for example in examples)
    found = {label: round(100 * n / len(examples), 1) for label, n in counts.items()}
    assert found == SHARES[name]


def test_wsc_shares_equal_the_papers(shared_data):
    task = get_task("super_glue/wsc", data_dir=str(shared_data))
    labels = Counter(example.label for example in task.load("validation"))
    assert round(100 * labels[0] / 104, 1) == 63.5
    assert Counter(e.label for e in task.load("train", training=False)) == {1: 259, 0: 295}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_equal_the_papers(shared_data, name):
    task = get_task(name, data_dir=str(shared_data))
    assert (len(task.load("train")), len(task.load("validation"))) == SIZES[name]


def test_layouts_of_folders_give_the_same(shared_data, tmp_path):
    expected = get_task("super_glue/cb", data_dir=str(shared_data)).load("validation")
    for number, inside in enumerate((".", "CB", "super_glue/CB", "superglue/CB")):
        root = tmp_path / str(number)
        (root / inside).mkdir(parents=True)
        shutil.copy(shared_data / "superglue" / "CB" / "val.jsonl", root / inside)
        assert get_task("super_glue/cb", data_dir=str(root)).load("validation") == expected


@pytest.mark.parametrize("name", [n for n in task_names() if n.startswith("super_glue/")])
def test_every_superglue_archive_reads(unpacked, name):
    task = get_task(name, data_dir=str(unpacked))
    for split in task.splits:
        examples = task.load(split, training=False)
        assert len({e.id for e in examples}) == len(examples)
        if split == "test" and name not in ("super_glue/axb", "super_glue/axg", "super_glue/wsc"):
            assert {e.target for e in examples} == {"<unk>"}


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("super_glue/record", {"passage": "flat", "qas": [], "idx": 0}, "no object with 'text'"),
        ("super_glue/record", {"passage": {"text": "a", "entities": [{"start": 0}]}, "qas": []},
         "KeyError: 'end'"),
        ("super_glue/wsc", {"target": {"span1_text": "a"}, "label": True, "idx": 0}, "'text'"),
        ("super_glue/multirc", {"passage": "flat", "idx": 0}, "no object with 'questions'"),
        ("mrqa/squad", {"context": "a", "qas": [{"question": "b"}]}, "KeyError: 'qid'"),
    ],
)  # fmt: skip
def test_a_row_of_another_form_is_one_clear_line(tmp_path, name, row, message):
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    task = get_task(name, DataConfig("local", str(tmp_path), {"validation": "mine.jsonl"}))
    with pytest.raises(UserError, match=message) as error:
        task.load("validation")
    assert "mine.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


def test_files_by_split_and_pattern(shared_data):
    files = {"validation": "*_dev.tsv", "in_domain": "in_domain_dev.tsv"}
    config = DataConfig("local", str(shared_data / "glue" / "CoLA"), files)
    task = get_task("glue/cola", config)
    assert "in_domain" in task.splits
    assert (len(task.load("train")), len(task.load("validation"))) == (8551, 1043)
    assert len(task.load("in_domain")) == 527
    config = DataConfig("local", str(shared_data / "qa"), {"validation": "xquad.en.json"})
    examples = get_task("squad", config).load("validation")
    assert len(examples) == 1190
    assert examples[0].target == examples[0].answers[0]
    config = DataConfig(
        "local", str(shared_data / "superglue" / "ReCoRD"), {"dev32": "dev32.jsonl"}
    )
    task = get_task("super_glue/record", config)
    dev = task.load("dev32")
    assert len(dev) == 32
    assert all(e.target in e.answers and "@highlight" not in e.input for e in dev)
    assert len(task.load("dev32", training=True)) == sum(len(e.answers) for e in dev)


def test_data_in_other_forms_are_user_tasks(shared_data):
    boolq = user_task(
        "boolq",
        {"train": str(shared_data / "superglue" / "BoolQ" / "train_sample1000.jsonl")},
        "passage: {passage} question: {question}",
        label_field="answer",
        labels=("False", "True"),
    )
    assert Counter(e.target for e in boolq.load("train")) == {"True": 624, "False": 376}
    folder = shared_data / "glue" / "QQP_subset"
    qqp = user_task(
        "qqp",
        {"train": str(folder / "train.json"), "validation": str(folder / "dev.json")},
        "question1: {text_a} question2: {text_b}",
        label_field="label",
        labels={"0": "not_duplicate", "1": "duplicate"},
        metric="f1",
    )
    assert (len(qqp.load("train")), len(qqp.load("validation"))) == (8999, 1000)
    config = DataConfig(
        "local",
        str(shared_data / "superglue" / "BoolQ"),
        {"train": "train_sample1000.jsonl"},
    )
    with pytest.raises(UserError, match="the field 'label' is missing; the row has: question"):
        get_task("super_glue/boolq", config).load("train")


@pytest.fixture
def rte(shared_data, tmp_path):
    shutil.copy(shared_data / "superglue" / "RTE" / "val.jsonl", tmp_path)
    (tmp_path / "val.jsonl").chmod(0o644)
    return get_task("super_glue/rte", data_dir=str(tmp_path)), tmp_path / "val.jsonl"


def test_truncated_and_altered_files(rte):
    task, path = rte
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(UserError, match=r"val\.jsonl, line 277: not valid JSON.*cut off"):
        task.load("validation")
    path.write_bytes(whole[:500] + b"\xff" + whole[500:])
    with pytest.raises(UserError, match=r"val\.jsonl, line 2: byte 500 is not UTF-8"):
        task.load("validation")
    path.write_bytes(whole.replace(b'"not_entailment"', b'"contradiction"', 1))
    with pytest.raises(UserError, match="row 1: the label 'contradiction' is none of"):
        task.load("validation")
    path.write_bytes(whole.replace(b'"hypothesis"', b'"hypotesis"', 1))
    with pytest.raises(UserError, match="row 1: the field 'hypothesis' is missing; the row has"):
        task.load("validation")
    path.write_bytes(b"")
    with pytest.raises(UserError, match="the split validation has no examples"):
        task.load("validation")
    path.write_bytes(whole)
    assert len(task.load("validation")) == 277


def test_missing_files_and_splits(rte, tmp_path):
    task, _ = rte
    with pytest.raises(UserError, match=r"split train: no train\.jsonl in .*or its folder RTE"):
        task.load("train")
    with pytest.raises(UserError, match="has no split 'dev'; it has train, validation, test"):
        task.load("dev")
    with pytest.raises(UserError, match="there is no folder"):
        get_task("super_glue/rte", data_dir=str(tmp_path / "absent")).load("train")
    config = DataConfig("local", str(tmp_path), {"train": "*.tsv"})
    with pytest.raises(UserError, match=r"split train: nothing matches \*\.tsv"):
        get_task("super_glue/rte", config).load("train")
    with pytest.raises(UserError, match="needs the folder"):
        get_task("super_glue/rte", DataConfig("local"))
    with pytest.raises(UserError, match="need the local source"):
        get_task("super_glue/rte", DataConfig(files={"train": "x"}))
    with pytest.raises(UserError, match="need the Hugging Face source"):
        get_task("super_glue/rte", DataConfig("local", str(tmp_path), hf_path="me/rte"))
    row = {"premise": "half \ud83d", "hypothesis": "b", "label": "entailment", "idx": 0}
    (tmp_path / "train.jsonl").write_text(json.dumps(row))
    config = DataConfig("local", str(tmp_path), {"train": "train.jsonl"})
    with pytest.raises(UserError, match=r"rte, split train, row 1: .* half of a surrogate pair"):
        get_task("super_glue/rte", config).load("train")


def local(tmp_path, name, files):
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    return get_task(name, data_dir=str(tmp_path))


def test_tables(tmp_path):
    header = "sentence\tlabel\n"
    task = local(tmp_path, "glue/sst2", {"train.tsv": header + 'a "b\t1\n\nc\u2028d \t0\n'})
    assert [(e.input, e.target) for e in task.load("train")] == [
        ('sentence: a "b', "positive"),
        ("sentence: c\u2028d ", "negative"),
    ]
    task = local(tmp_path, "glue/sst2", {"train.tsv": header + "a\t1\nb"})
    with pytest.raises(UserError, match=r"line 3: the column 'label' is missing.*sentence"):
        task.load("train")
    task = local(tmp_path, "glue/sst2", {"train.tsv": header + "a\t2\n"})
    with pytest.raises(UserError, match="the label '2' is none of"):
        task.load("train")
    task = local(tmp_path, "glue/cola", {"train.tsv": "gj04\t1\t\tIt is.\ngj04\t0\t*\tIt are.\n"})
    assert [e.target for e in task.load("train")] == ["acceptable", "unacceptable"]


def test_qqp_drops_its_damaged_rows_as_tensorflow_datasets_does(tmp_path):
    columns = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    rows = "1\t1\t2\tA?\tB?\t1\n2\t3\t4\tC?\tD?\n3\t5\t6\tE?\tF?\t\n4\t7\t8\t\tG?\t0\n"
    task = local(tmp_path, "glue/qqp", {"train.tsv": columns + rows})
    assert [(e.id, e.target) for e in task.load("train")] == [
        ("0", "duplicate"),
        ("3", "not_duplicate"),
    ]


def test_mrpc_from_the_original_files(tmp_path):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    rows = '1\t1\t2\tA "b.\tB.\n0\t3\t4\tC.\tD.\n1\t5\t6\tE.\tF.\n'
    task = local(tmp_path, "glue/mrpc", {"msr_paraphrase_train.txt": header + rows})
    with pytest.raises(UserError, match=r"needs the list of dev ids beside it"):
        task.load("train")
    (tmp_path / "mrpc_dev_ids.tsv").write_text("3\t4\n")
    assert [e.input for e in task.load("train")] == [
        'sentence1: A "b. sentence2: B.',
        "sentence1: E. sentence2: F.",
    ]
    assert [e.target for e in task.load("validation")] == ["not_equivalent"]


def test_dpr(tmp_path):
    text = "Bees land on flowers because they have pollen.\nthey\nBees, flowers\nflowers\n\n"
    task = local(tmp_path, "dpr", {"train.c.txt": text})
    [example] = task.load("train")
    assert example.target == "flowers"
    assert example.input == "Bees land on flowers because *they* have pollen."
    task = local(tmp_path, "dpr", {"train.c.txt": text + "Half a record.\nit\n"})
    with pytest.raises(UserError, match="is it cut off"):
        task.load("train")
    task = local(tmp_path, "dpr", {"train.c.txt": text.replace("\nflowers\n\n", "\nmoths\n\n")})
    with pytest.raises(UserError, match="record 1: the answer 'moths' is none of 'Bees'"):
        task.load("train")


def test_mrqa(tmp_path):
    question = {
        "qid": "a",
        "question": "Who?",
        "answers": ["doe", "J. Doe"],
        "detected_answers": [{"text": "Doe ", "char_spans": [[0, 3]]}],
    }
    lines = [
        {"header": {"dataset": "RACE"}},
        {"context": "Doe was here.", "qas": [question, question | {"qid": "b", "answers": []}]},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    examples = local(tmp_path, "mrqa/race", {"RACE.jsonl": text}).load("validation")
    assert [e.id for e in examples] == ["a", "b"]
    assert examples[0].input == "question: Who ? context: Doe was here . "
    assert (examples[0].target, examples[0].answers) == ("Doe", ("doe", "J . Doe"))
    assert (examples[1].target, examples[1].answers) == ("Doe", ("Doe",))


def test_a_damaged_archive_is_named(tmp_path):
    packed = bytearray(gzip.compress(b'{"a": 1}' * 100, mtime=0))
    packed[12] ^= 255
    (tmp_path / "rows.jsonl.gz").write_bytes(packed)
    task = user_task("mine", {"train": tmp_path / "rows.jsonl.gz"}, "{a}", target_field="a")
    with pytest.raises(UserError, match=r"cannot read .*rows\.jsonl\.gz"):
        task.load("train")


def test_squad_joins_answers_of_a_repeated_question(tmp_path):
    def qa(answer):
        return {"id": "x", "question": "Who?", "answers": [{"text": answer, "answer_start": 0}]}

    paragraph = {"context": "Doe.", "qas": [qa("Doe"), qa("doe")]}
    data = json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]})
    [example] = local(tmp_path, "squad", {"dev-v1.1.json": data}).load("validation")
    assert example.answers == ("Doe", "doe")
    task = local(tmp_path, "squad", {"dev-v1.1.json": data[:-5]})
    with pytest.raises(UserError, match=r"dev-v1\.1\.json: not valid JSON"):
        task.load("validation")
    task = local(tmp_path, "squad", {"dev-v1.1.json": '{"version": "1.1"}'})
    with pytest.raises(UserError, match="the field 'data' is missing; the row has: version"):
        task.load("validation")


def test_named_files_and_patterns_are_searched_where_official_ones_are(tmp_path):
    row = {"idx": 0, "premise": "a", "hypothesis": "b", "label": "neutral"}
    for number, inside in enumerate((".", "CB", "super_glue/CB", "superglue/CB")):
        folder = tmp_path / str(number) / inside
        folder.mkdir(parents=True)
        (folder / "dev32.jsonl").write_text(json.dumps(row) + "\n")
        for pattern in ("dev32.jsonl", "dev*.jsonl"):
            data = DataConfig("local", str(tmp_path / str(number)), {"dev32": pattern})
            assert len(get_task("super_glue/cb", data).load("dev32")) == 1
    data = DataConfig("local", str(tmp_path / "0"), {"dev32": "none*"})
    with pytest.raises(UserError, match=r"nothing matches none\* in .* or its folder CB"):
        get_task("super_glue/cb", data).load("dev32")
