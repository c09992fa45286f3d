"""WSC: the marked pronoun, the filter of the training form, and the official odd rows."""

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import formats, get_task
from tests.tasks.conftest import task_with

ROW = {
    "idx": 0,
    "text": "Tom fell , he cried .",
    "span1_text": "Tom",
    "span2_text": "he",
    "span2_index": 3,
    "label": "True",
}


def test_wsc_trains_on_true_referents_only():
    row = ROW
    task = task_with("super_glue/wsc", row, row | {"idx": 1, "label": "False"})
    assert [e.id for e in task.load("train")] == ["0"]
    assert [e.label for e in task.load("validation")] == [1, 0]
    assert [e.label for e in task.load("train", training=False)] == [1, 0]
    [example] = task_with("super_glue/wsc", row | {"label": None}).load("test")
    assert (example.target, example.label) == ("Tom", None)


@pytest.mark.parametrize(
    ("text", "pronoun", "index", "expected"),
    [
        ('He said "Good for him," she told. ', "him", 4, 'He said "Good for *him* ," she told.'),
        ("They might use it , but", "it", 2, "They might use *it* , but"),
        ("he ran", "he", 0, "*he* ran"),
        ("Tom saw him", "him", 2, "Tom saw *him*"),
        ("Tom saw  him .", "him", 3, "Tom saw  *him* ."),
    ],
)
def test_wsc_pronoun_marks(text, pronoun, index, expected):
    row = {
        "idx": 0,
        "text": text,
        "span1_text": "x",
        "span2_text": pronoun,
        "span2_index": index,
        "label": "True",
    }
    assert formats.wsc(row, True)[0].input == expected


def test_wsc_without_its_pronoun_is_an_error():
    row = ROW | {"span2_text": "she"}
    with pytest.raises(UserError, match="row 1: the pronoun 'she' is not a word of"):
        task_with("super_glue/wsc", row).load("validation")


def test_official_wsc_rows_keep_their_text(shared_data):
    """T5 rewrote two sentences by hand; all others only gain the two stars."""
    task = get_task("super_glue/wsc", data_dir=str(shared_data))
    for split in ("train", "validation"):
        rows = {str(row["idx"]): row for row in task.source.rows(split)}
        examples = task.load(split, training=False)
        assert len(examples) == len(rows)
        for example in examples:
            row = rows[example.id]
            if split == "train" and example.id in ("137", "453", "533"):
                expected = row["text"].rstrip().replace(' him,"', ' *him* ,"')
            elif split == "validation" and example.id == "42":
                expected = row["text"].replace("use it ,", "use *it* ,")
            else:
                words = row["text"].split(" ")
                words[row["span2_index"]] = f"*{row['span2_text']}*"
                expected = " ".join(words)
                assert expected.replace("*", "") == row["text"]
            assert example.input == expected
