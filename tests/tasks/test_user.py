"""The user's own tasks: templates, labels, files and every defect of theirs."""

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import PROMPT_MARK
from prompt_tuning.tasks import user_task
from prompt_tuning.tasks.user import parse_template

ROWS = [
    {"premise": "It rains.", "hypothesis": "It is wet.", "gold": 1},
    {"premise": "It snows.", "hypothesis": "It is hot.", "gold": 0},
]
TEMPLATE = "premise: {premise} hypothesis: {hypothesis}"
LABELS = {"0": "no", "1": "yes"}


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def nli(tmp_path, rows=None, template=TEMPLATE, **options):
    path = write_jsonl(tmp_path / "train.jsonl", ROWS if rows is None else rows)
    options = {"label_field": "gold", "labels": LABELS} | options
    return user_task("nli", {"train": path}, template, **options)


def test_template_and_label_mapping(tmp_path):
    task = nli(tmp_path)
    assert task.labels == task.prompt_words == ("no", "yes")
    assert not task.marked
    first, second = task.load("train")
    assert first.input == "premise: It rains. hypothesis: It is wet."
    assert (first.target, second.target) == ("yes", "no")
    assert task.score([first, second], ["yes", "yes"]).metrics == {"accuracy": 50}
    assert pickle.loads(pickle.dumps(task)).load("train") == [first, second]


def test_the_forms_of_files_agree(tmp_path):
    rows = [{k: str(v) for k, v in row.items()} for row in ROWS]
    columns = list(rows[0])
    table = [columns, *[[row[c] for c in columns] for row in rows]]
    (tmp_path / "a.tsv").write_text("\n".join("\t".join(r) for r in table), encoding="utf-8")
    (tmp_path / "a.csv").write_text(
        "\r\n".join(",".join(f'"{cell}"' for cell in r) for r in table), encoding="utf-8-sig"
    )
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({str(i): r for i, r in enumerate(rows)}))
    write_jsonl(tmp_path / "a.jsonl", rows)
    loaded = [
        user_task("t", {"train": str(path)}, TEMPLATE, label_field="gold", labels=LABELS).load(
            "train"
        )
        for path in sorted(tmp_path.iterdir())
    ]
    assert len(loaded) == 5
    assert all(examples == loaded[0] for examples in loaded)


def test_csv_cells_may_hold_commas_quotes_and_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,y\n"a, ""b""\nc",1\nd,0\n', encoding="utf-8")
    task = user_task("t", {"train": str(path)}, "{text}", label_field="y")
    assert [e.input for e in task.load("train")] == ['a, "b"\nc', "d"]
    assert task.labels == ("0", "1")


def test_free_text_targets(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"q": "2+2?", "a": "four"}])
    task = user_task("sums", {"train": path}, "question: {q}", target_field="a")
    [example] = task.load("train")
    assert (example.target, example.answers) == ("four", ("four",))
    assert task.labels == ()
    assert task.score([example], ["Four."]).metrics == {"em": 100, "f1": 100}
    assert task.score([example], [" "]).invalid == 100


def test_prompt_mark_stands_once_where_the_template_says(tmp_path):
    rows = [{"premise": "{prompt} {gold} " + PROMPT_MARK, "hypothesis": "{{", "gold": 1}] * 2
    task = nli(tmp_path, rows, "{{x}} {premise}{prompt}{hypothesis}")
    assert task.marked
    text = task.load("train")[0].input
    # What the data holds stays text; its mark characters vanish.
    assert text == "{x} {prompt} {gold} " + PROMPT_MARK + "{{"


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(), st.sampled_from(["a", "b"]))
def test_any_field_text_gives_exactly_one_mark(tmp_path_factory, first, second, label):
    folder = tmp_path_factory.mktemp("any")
    rows = [{"x": first, "y": second, "l": label}]
    path = write_jsonl(folder / "t.jsonl", rows)
    task = user_task("t", {"train": path}, "{x}{prompt}{y}", label_field="l", labels=("a", "b"))
    [example] = task.load("train")
    clean = [text.replace(PROMPT_MARK, "") for text in (first, second)]
    assert example.input == PROMPT_MARK.join(clean)
    assert example.target == label


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{a} {prompt} {prompt}", "more than once"),
        ("{a", "malformed"),
        ("a}", "malformed"),
        ("{}", "empty field"),
        ("{a:>3}", "plain name"),
        ("{a!r}", "plain name"),
        ("no field {prompt}", "names no field"),
        ("{a}" + PROMPT_MARK, "reserved character"),
    ],
)
def test_bad_templates(template, message):
    with pytest.raises(UserError, match=message):
        parse_template(template)


def test_missing_field_names_the_row_and_what_it_has(tmp_path):
    task = nli(tmp_path, [ROWS[0], {"premise": "x", "gold": 1}])
    with pytest.raises(UserError, match=r"row 2: the field 'hypothesis' is missing.*premise, gold"):
        task.load("train")


def test_unknown_label_names_the_known_ones(tmp_path):
    task = nli(tmp_path, [ROWS[0] | {"gold": 7}])
    with pytest.raises(UserError, match=r"row 1: the label '7' in the field 'gold'.*'0', '1'"):
        task.load("train")


def test_empty_and_broken_files(tmp_path):
    with pytest.raises(UserError, match="no examples"):
        nli(tmp_path, []).load("train")
    with pytest.raises(UserError, match="no examples"):
        nli(tmp_path, [], labels=None)
    path = tmp_path / "bad.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n', encoding="utf-8")
    with pytest.raises(UserError, match=r"bad\.jsonl, line 3: not valid JSON"):
        user_task("t", {"train": str(path)}, "{a}", target_field="a").load("train")
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 1: expected a JSON object, found list"):
        user_task("t", {"train": str(path)}, "{a}", target_field="a").load("train")
    path.write_bytes('{"a": "x"}\n{"a": "é"}\n'.encode("latin-1"))
    with pytest.raises(UserError, match=r"line 2: byte 18 is not UTF-8"):
        user_task("t", {"train": str(path)}, "{a}", target_field="a").load("train")
    with pytest.raises(UserError, match=r"cannot read .*No such file"):
        user_task("t", {"train": "absent.jsonl"}, "{a}", target_field="a").load("train")
    with pytest.raises(UserError, match="unknown kind of file"):
        user_task("t", {"train": "a.parquet"}, "{a}", target_field="a").load("train")


def test_csv_defects(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2,3\n", encoding="utf-8")
    task = user_task("t", {"train": str(path)}, "{a}", target_field="b")
    with pytest.raises(UserError, match="line 2: more cells than columns"):
        task.load("train")
    tabs = tmp_path / "a.tsv"
    tabs.write_text('a\tb\n"1\t2\t3\n', encoding="utf-8")
    with pytest.raises(UserError, match="line 2: more cells than columns"):
        user_task("t", {"train": str(tabs)}, "{a}", target_field="b").load("train")
    path.write_text("a,b,b\n1,2,3\n", encoding="utf-8")
    with pytest.raises(UserError, match="more than one column is named 'b'"):
        task.load("train")
    path.write_text('a,b\n1,"2\n', encoding="utf-8")
    with pytest.raises(UserError, match="not valid CSV"):
        task.load("train")
    path.write_text("a,b\n1\n", encoding="utf-8")
    with pytest.raises(UserError, match="row 1: the field 'b' is missing; the row has: a"):
        task.load("train")


def test_free_text_has_no_blanks_around_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\nx, Paris \ny,  \n", encoding="utf-8")
    task = user_task("t", {"train": str(path)}, "{a}", target_field="b")
    with pytest.raises(UserError, match="row 2: the field 'b' is blank"):
        task.load("train")
    path.write_text("a,b\nx, Paris \n", encoding="utf-8")
    [example] = task.load("train")
    assert (example.target, example.answers) == ("Paris", ("Paris",))


def test_an_empty_cell_is_no_label(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\nx,\ny,good\n", encoding="utf-8")
    for more in (
        {"target_field": "b"},
        {"label_field": "b", "labels": {"good": "fine", "bad": "poor"}},
    ):
        task = user_task("t", {"train": str(path), "test": str(path)}, "{a}", **more)
        assert [example.labelled for example in task.load("test")] == [False, True]
        with pytest.raises(UserError, match="train, row 1: the field 'b' is empty"):
            task.load("train")


def test_splits(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(UserError, match="the split 'train' is given more than once"):
        user_task("t", [("train", path), ("train", path)], TEMPLATE, target_field="gold")
    with pytest.raises(UserError, match="has no split 'dev'; it has train"):
        nli(tmp_path).load("dev")
    with pytest.raises(UserError, match="no data file"):
        user_task("t", {}, TEMPLATE, target_field="gold")


def test_a_test_split_may_lack_labels(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "gold"} for row in ROWS]
    path = write_jsonl(tmp_path / "test.jsonl", rows)
    task = user_task("t", {"test": path}, TEMPLATE, label_field="gold", labels=LABELS)
    assert [e.target for e in task.load("test")] == ["<unk>"] * 2
    other = user_task("t", {"train": path}, TEMPLATE, label_field="gold", labels=LABELS)
    with pytest.raises(UserError, match="row 1: the field 'gold' is missing"):
        other.load("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_field": None, "labels": None}, "either a label field or a target field"),
        ({"target_field": "gold"}, "either a label field or a target field"),
        ({"labels": {"0": "no", "1": "no"}}, "two labels or more"),
        ({"labels": {"0": "no", "1": " "}}, "a label is empty"),
        ({"labels": {0: "no", 1: "yes"}}, "are text"),
        ({"labels": (0, 1)}, "are text"),
        ({"metric": "accurracy"}, "unknown metric"),
        ({"metric": "f1", "labels": {"0": "a", "1": "b", "2": "c"}}, "needs two labels"),
        ({"label_field": None, "labels": LABELS, "target_field": "gold"}, "labels go with"),
        (
            {"label_field": None, "labels": None, "target_field": "gold", "metric": "f1"},
            "needs a label field",
        ),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        nli(tmp_path, **options)


def test_metrics_by_name(tmp_path):
    outputs = ["yes", "yes"]
    names = {
        "f1": {"f1", "accuracy"},
        "mean_f1": {"mean_f1", "accuracy"},
        "matthews": {"matthews"},
        "squad": {"em", "f1"},
    }
    for metric, expected in names.items():
        task = nli(tmp_path, metric=metric)
        assert set(task.score(task.load("train"), outputs).metrics) == expected


def test_values_that_are_no_text_are_refused(tmp_path):
    task = nli(tmp_path, [ROWS[0] | {"premise": "\ud83d"}])
    with pytest.raises(UserError, match="row 1: the field 'premise' holds half of a surrogate"):
        task.load("train")
    path = tmp_path / "long.jsonl"
    path.write_text('{"a": ' + "9" * 5000 + "}")
    with pytest.raises(UserError, match="line 1: not valid JSON"):
        user_task("t", {"train": str(path)}, "{a}", target_field="a").load("train")
    task = nli(tmp_path, [ROWS[0] | {"premise": ["a"]}])
    with pytest.raises(UserError, match="holds a list, not text"):
        task.load("train")
