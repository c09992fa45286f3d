"""`evaluate`: a split through a prompt, scored and written."""

import dataclasses
import json

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.evaluation.predict import predict
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.mixture import mix
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.user import user_task


@pytest.fixture
def task(toy_files, tmp_path):
    (tmp_path / "test.jsonl").write_text('{"text": "good"}\n{"text": "bad"}\n')
    return user_task(
        "toy",
        {**toy_files, "test": str(tmp_path / "test.jsonl")},
        "review: {text}",
        label_field="mood",
        labels={"no": "no", "yes": "yes"},
    )


@pytest.mark.parametrize("method", ["generate", "score"])
@pytest.mark.parametrize("name", ["three", None])
def test_it_agrees_with_predict_and_the_task(t5, prompts, task, method, name):
    result = evaluate(t5, task, name and prompts[name], method=method, limit=9, max_target_length=5)
    requests = [{"prompt": name, "input": example.input} for example in result.examples]
    labels = ["no", "yes"] if method == "score" else None
    own = {} if name is None else {name: prompts[name]}
    answers = predict(t5, own, requests, labels=labels, max_length=5)
    assert result.predictions == [answer["output"] for answer in answers]
    assert [e.id for e in result.examples] == [str(n) for n in range(1, 10)]
    right = sum(p == e.target for p, e in zip(result.predictions, result.examples, strict=True))
    assert result.scores.primary == pytest.approx(100 * right / 9)
    if method == "score":
        assert result.scores.invalid == 0


def test_what_it_writes(t5, prompts, task, tmp_path):
    folder = tmp_path / "new" / "out"
    result = evaluate(t5, task, prompts["three"], method="score", limit=9, out=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.jsonl", "scores.json"]
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == result.predictions
    assert rows[0].keys() == {"id", "input", "target", "prediction"}
    facts = json.loads((folder / "scores.json").read_text())
    assert facts["scores"]["metrics"] == result.scores.metrics
    assert facts["data"]["rows"] == len(rows) == 9
    assert facts["model"]["base_fingerprint"] == t5.fingerprint
    assert facts["prompt"]["length"] == 3


def test_a_split_without_labels_gives_predictions_only(t5, prompts, task, tmp_path):
    result = evaluate(t5, task, prompts["three"], split="test", method="score", out=tmp_path / "o")
    assert len(result.predictions) == 2
    assert not result.labelled
    with pytest.raises(UserError, match="no labels"):
        _ = result.scores
    assert json.loads((tmp_path / "o" / "scores.json").read_text())["scores"] is None


def test_wsc_without_labels_gives_predictions_only(t5, tmp_path):
    file = tmp_path / "WSC" / "test.jsonl"
    file.parent.mkdir()
    target = {"span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 2}
    file.write_text(json.dumps({"text": "Ann said she left .", "target": target, "idx": 0}))
    wsc = get_task("super_glue/wsc", DataConfig("local", str(tmp_path)))
    result = evaluate(t5, wsc, split="test", out=tmp_path / "o")
    assert [example.target for example in result.examples] == ["Ann"]
    assert not result.labelled
    assert (tmp_path / "o" / "predictions.jsonl").read_text().count("\n") == 1


def test_a_limit_is_of_each_task_of_a_mixture(t5, task):
    both = mix("both", [task, dataclasses.replace(task, name="again")], [1, 1])
    found = evaluate(t5, both, method="generate", limit=3)
    ids = [example.id for example in found.examples]
    assert ids == ["0/1", "0/2", "0/3", "1/1", "1/2", "1/3"]


def test_a_mixture_is_judged_task_by_task(t5, task, toy_files):
    free = user_task("free", toy_files, "{text}", target_field="mood")
    both = mix("both", [task, free], [1, 1])
    examples = both.first(both.load("validation"), 2)
    scores = both.score(examples, ["maybe", "no", "maybe", ""])
    assert scores.invalid == 50  # free text is illegal only where it is empty
    long = user_task("long", toy_files, "{text}", label_field="mood", labels=("no", "good film"))
    with pytest.raises(UserError, match=r"the label 'good film' of long has \d tokens with EOS"):
        evaluate(t5, mix("both", [free, long], [1, 1]), max_target_length=2)
    three = user_task("three", toy_files, "{text}", label_field="mood", labels=("no", "yes", "so"))
    other = mix("other", [free, dataclasses.replace(three, labels=("no", "so"))], [1, 1])
    with pytest.raises(UserError, match=r"other, split train, row \d+: of three, the label 'yes'"):
        other.load("train")


def test_answers_that_do_not_fit_are_reported(t5, toy_files, caplog):
    free = user_task("free", toy_files, "{mood}", target_field="text")
    evaluate(t5, free, limit=5, max_target_length=24)
    assert not caplog.text
    evaluate(t5, free, limit=5, max_target_length=2)
    assert "free/validation: 5 of 5 examples have no answer of at most 2 tokens" in caplog.text


def test_answers_that_the_vocabulary_lacks_are_reported(t5, tmp_path, caplog):
    file = tmp_path / "rows.csv"
    file.write_text("text,answer\nwho,Anna\nwhat,\u2603\n", encoding="utf-8")
    free = user_task("free", {"validation": file}, "{text}", target_field="answer")
    evaluate(t5, free, max_target_length=24)
    assert "free/validation: 1 of 2 examples have no answer that the vocabulary can" in caplog.text
    assert "of at most" not in caplog.text


def test_long_inputs_are_counted_and_reported(t5, task, caplog):
    assert evaluate(t5, task, method="score", limit=5, max_input_length=8).truncated > 0
    assert "5 inputs are longer than 8 tokens" in caplog.text


def test_bad_input_is_one_clear_line(t5, prompts, task, toy_files, tmp_path):
    free = user_task("free", toy_files, "{text}", target_field="mood")
    spaced = {"no": "no", "yes": " yes"}
    odd = user_task("odd", toy_files, "{text}", label_field="mood", labels=spaced)
    same = {"no": "\u00e9", "yes": "\u00e8"}  # neither is in the vocabulary
    same = user_task("same", toy_files, "{text}", label_field="mood", labels=same)
    marked = user_task("marked", toy_files, "{text} {prompt}", label_field="mood")
    other = dataclasses.replace(prompts["one"], metadata={"base_fingerprint": "0" * 64})
    (tmp_path / "file").write_text("")
    cases = [
        ((task,), {"split": "tset"}, "no split 'tset'"),
        ((task,), {"method": "guess"}, "unknown method 'guess'"),
        ((task,), {"limit": 0}, "limit must be at least 1"),
        ((task,), {"beams": 0}, "beams must be at least 1"),
        ((task,), {"max_target_length": 1}, "max_target_length 2"),
        ((odd,), {}, "the label ' yes' of odd can be no output: the tokenizer makes it 'yes'"),
        ((same,), {"method": "score"}, "the labels 'é' and 'è' are the same to the tokenizer"),
        ((free,), {"method": "score"}, "free has no labels to score"),
        ((marked, prompts["one"]), {}, "position must be 'template', not 'prefix'"),
        ((task, other), {}, "made for another base"),
        ((task,), {"out": tmp_path / "file" / "out"}, "cannot write to"),
    ]
    for args, options, message in cases:
        with pytest.raises(UserError, match=message) as error:
            evaluate(t5, *args, **options)
        assert "\n" not in str(error.value)
    long = user_task("long", toy_files, "{text}", label_field="mood",
                     labels={"no": "no", "yes": "great happy good film"})  # fmt: skip
    with pytest.raises(UserError, match="raise max_target_length, which is 3"):
        evaluate(t5, long, max_target_length=3)
