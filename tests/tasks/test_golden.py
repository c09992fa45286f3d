"""Every published case of T5's text formats and metrics (values of its own test files)."""

import json

import pytest

from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.tasks import formats, metrics, other_formats, scoring
from prompt_tuning.tasks.base import Example
from prompt_tuning.tasks.catalog import get_task

FORMAT_CASES = {
    "glue_all_features_sorted",
    "glue_feature_names_order",
    "glue_missing_label",
    "multirc_markup_removed",
    "stsb_on_grid",
    "stsb_rounded_to_fifth",
    "squad_basic",
    "triviaqa_one_example_per_alias_found",
    "pad_punctuation_ascii",
    "span_answer_found",
    "span_answer_not_found",
    "dpr_pronoun_is_substring_of_a_word",
    "dpr_pronoun_at_end",
    "wsc_simple_all_examples_unlabelled",
    "wsc_simple_correct_referent_only",
    "translate_en_de",
    "summarize",
}


@pytest.fixture(scope="session")
def golden(shared_data):
    def read(name):
        return json.loads((shared_data / "golden" / name).read_text(encoding="utf-8"))

    return read


def labelled(row, names):
    """The row with its label by name, as our sources give it."""
    return row | {"label": None if row["label"] == -1 else names[row["label"]]}


def format_glue(case, row):
    settings = case["settings"]
    fields = settings["feature_names"] or sorted(set(row) - {"idx", "label"})
    row = labelled(row, settings["label_names"])
    name = settings["benchmark_name"]
    if name == "multirc":
        found = formats.multirc(row, True)
    else:
        found = formats.classification(row, True, fields=tuple(fields))
    return [(f"{name} {e.input}", e.target) for e in found]


def format_wsc(case, row):
    """T5's evaluation form keeps every row, its training form the true referents."""
    row = labelled({"label": -1} | row, ["False", "True"])
    found = formats.wsc(row, case["settings"]["correct_referent_only"])
    return [(f"{case['settings']['label']} {e.input}", e.target) for e in found]


def format_translation(case, row):
    text = other_formats.translate("English", "German", row["en"])
    return [(text, row["de"])]


FORMATTERS = {
    "glue": format_glue,
    "multirc": format_glue,
    "wsc_simple": format_wsc,
    "translate": format_translation,
    "stsb": lambda case, row: [(f"stsb {e.input}", e.target) for e in formats.stsb(row, True)],
    "squad": lambda case, row: [
        (e.input, e.target) for e in formats.squad(row | {"answers": row["answers"]["text"]}, True)
    ],
    "trivia_qa": lambda case, row: [
        (e.input, e.target) for e in other_formats.trivia_qa(row, True)
    ],
    "dpr": lambda case, row: [
        (f"{case['settings']['label']} {e.input}", e.target) for e in formats.dpr(row, True)
    ],
    "summarize": lambda case, row: [(other_formats.summarize(row["article"]), row["highlights"])],
    "pad_punctuation": lambda case, row: [formats.pad_punctuation(row)],
    "span_answer": lambda case, row: [other_formats.span_answer(row["context"], row["answer"])],
}


def test_text_formats(golden):
    cases = golden("text_format.json")["cases"]
    assert {case["id"] for case in cases} == FORMAT_CASES
    for case in cases:
        found = [text for row in case["input"] for text in FORMATTERS[case["task"]](case, row)]
        expected = [
            e if isinstance(e, str) else (e["inputs"], e["targets"]) for e in case["expected"]
        ]
        assert found == expected, case["id"]


def test_squad_answers_and_multirc_ids(golden):
    cases = {case["id"]: case for case in golden("text_format.json")["cases"]}
    case = cases["squad_basic"]
    row = case["input"][0]
    [example] = formats.squad(row | {"answers": row["answers"]["text"]}, False)
    assert list(example.answers) == case["expected"][0]["answers"]
    case = cases["multirc_markup_removed"]
    [example] = formats.multirc(labelled(case["input"][0], ["False", "True"]), False)
    assert (example.id, example.group) == ("5/1/3", "5/1")


def score(case):
    """{metric name in the case: our value}."""
    targets, predictions = case["targets"], case["predictions"]
    name, settings = case["metric"], case["settings"]
    if name == "squad":
        return dict(zip(("em", "f1"), metrics.squad(targets, predictions), strict=True))
    if name == "mean_multiclass_f1":
        found = metrics.mean_class_f1(targets, predictions, settings["num_classes"])
        return {"mean_3class_f1": found}
    if name == "multirc_f1_over_all_answers":
        targets, predictions = ([p["value"] for p in side] for side in (targets, predictions))
        return {"f1": metrics.f1_with_invalid(targets, predictions)}
    if name in ("mean_group_metric", "deduplicate_metric"):
        groups = [json.dumps(t["group"]) for t in targets]
        targets, predictions = ([p["value"] for p in side] for side in (targets, predictions))
        if name == "deduplicate_metric":
            kept = metrics.first_of_each_group(groups)
            inner = case | {"metric": settings["inner"], "targets": [targets[i] for i in kept]}
            return score(inner | {"predictions": [predictions[i] for i in kept]})
        inner = {"accuracy": metrics.accuracy, "all_match": metrics.all_match}[settings["inner"]]
        found = metrics.mean_over_groups(groups, targets, predictions, inner)
        return {{"accuracy": "accuracy", "all_match": "exact_match"}[settings["inner"]]: found}
    plain = {
        "accuracy": ("accuracy", metrics.accuracy),
        "all_match": ("exact_match", metrics.all_match),
        "f1_score_with_invalid": ("f1", metrics.f1_with_invalid),
        "matthews_corrcoef": ("matthews_corrcoef", metrics.matthews),
        "pearson_corrcoef": ("pearson_corrcoef", metrics.pearson),
    }
    key, function = plain[name]
    return {key: function(targets, predictions)}


def test_metrics(golden):
    cases = golden("metrics.json")["metric_cases"]
    assert len(cases) == 16
    for case in cases:
        assert score(case) == pytest.approx(case["expected"], abs=case["abs_tolerance"]), case["id"]


def postprocess(case):
    text, name, example = case["text"], case["function"], case.get("example") or {}
    if name == "string_label_to_class_id":
        labels = tuple(case["settings"]["label_classes"])
        return scoring.class_index(text, labels)
    if name == "string_to_float":
        return float(text) if scoring.is_number(text) else -1.0
    if name == "multirc":
        value = scoring.class_index(text, get_task("super_glue/multirc").labels)
        return {"value": value} | ({"group": example["idx/question"]} if case["is_target"] else {})
    if name in ("record", "qa"):
        value = example["answers"] if case["is_target"] else text
        if name == "qa":
            return value
        group = [example["idx/passage"], example["idx/query"]] if case["is_target"] else None
        return {"value": value} | ({"group": group} if group else {})
    if name == "wsc_simple":
        if case.get("is_target"):
            return example["label"]
        return metrics.wsc_match(example["targets_pretokenized"], text)
    assert name == "normalize_squad"
    return metrics.normalize_answer(text)


def test_postprocessing(golden):
    cases = golden("metrics.json")["postprocess_cases"]
    assert len(cases) == 19
    for case in cases:
        assert postprocess(case) == case["expected"], case["id"]


def test_record_target_keeps_its_answers_and_group():
    row = {
        "query": "q",
        "passage": "p",
        "entities": ["a1", "a2"],
        "answers": ["a1", "a2"],
        "idx": {"passage": 1, "query": 2},
    }
    [evaluated] = formats.record(row, False)
    assert evaluated == Example(
        id="1/2",
        input="query: q entities: a1, a2 passage: p",
        target="a1",
        answers=("a1", "a2"),
        group="1/2",
    )
    trained = formats.record(row, True)
    assert [e.target for e in trained] == ["a1", "a2"]
    assert {e.group for e in trained} == {"1/2"}
    assert len({e.id for e in trained}) == 2


def test_token_ids(golden, shared_data):
    tokenizer = load_tokenizer(str(shared_data / "t5" / "spiece.model"))
    cases = golden("token_ids.json")["cases"]
    assert len(cases) == 5
    for case in cases:
        assert [*tokenizer.encode(case["text"]), 1] == case["ids"], case["id"]
