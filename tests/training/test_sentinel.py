"""Runs whose targets begin with <extra_id_0>: span corruption with a sentinel (section 2.2)."""

import dataclasses
import hashlib
import json

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.t5.load import load_t5
from prompt_tuning.training.data import SharedData
from prompt_tuning.training.loop import train
from prompt_tuning.training.member import Member
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.run import Run, model_tuning, paper


def test_targets_and_labels_begin_with_the_sentinel(toy_run, sentinels, tmp_path):
    t5 = load_t5(toy_run().model, tokenizer=sentinels)
    data, first = SharedData(t5), t5.tokenizer.sentinel(0)
    plain, marked = (
        Member(toy_run(tokenizer=str(sentinels), sentinel=sentinel), tmp_path, data)
        for sentinel in (False, True)
    )
    assert [[first, *target] for target in plain.train.targets] == marked.train.targets
    assert [(first, *ids) for ids in plain.job(()).label_ids] == list(marked.job(()).label_ids)
    assert (plain.job(()).start, marked.job(()).start) == ((), (first,))


def test_a_tuned_model_writes_the_sentinel_and_is_scored_without(toy_run, sentinels, tmp_path):
    fields = {
        "tokenizer": str(sentinels), "sentinel": True, "steps": 60, "eval_every": 20,
        "batch_size": 16, "dropout": 0.0,
        "optimizer": OptimizerConfig(name="adamw", learning_rate=3e-3, weight_decay=0.0),
    }  # fmt: skip
    tuned = train(toy_run(make_run=model_tuning, **fields), tmp_path, quiet=True)
    assert tuned.score == 100.0
    t5, task = load_t5(tuned.directory / "best_model"), tuned.run.get_task()
    options = {"max_input_length": 32, "max_target_length": 6}
    assert evaluate(t5, task, sentinel=True, **options).scores.primary == 100.0
    bare = evaluate(t5, task, **options)
    assert set(bare.predictions) == {"<extra_id_0> no", "<extra_id_0> yes"}
    assert bare.scores.invalid == 100.0
    # Prompts of this model, with and without the sentinel, as one population; the first knows.
    model = str(tuned.directory / "best_model")
    runs = [toy_run(model=model, sentinel=sentinel, steps=2) for sentinel in (True, False)]
    for result in train(runs, tmp_path, t5=t5, quiet=True):
        assert result.prompt.sentinel == result.run.sentinel
        found = evaluate(t5, task, result.prompt, **options)
        assert found.scores.primary == result.score
        rows = (result.directory / "predictions.jsonl").read_text().splitlines()
        assert found.predictions == [json.loads(row)["prediction"] for row in rows]


def test_a_vocabulary_without_sentinels_and_too_short_targets_are_refused(toy_run, tmp_path):
    with pytest.raises(UserError, match=r"\(sentinel\): this vocabulary has no <extra_id_0>"):
        train(toy_run(sentinel=True), tmp_path, quiet=True)
    with pytest.raises(UserError, match="max_target_length must be at least 3 with sentinel"):
        toy_run(sentinel=True, max_target_length=2)


def test_names_of_runs_without_it_stay_as_they_were():
    run = paper("super_glue/rte")
    before = {key: value for key, value in run.to_dict().items() if key != "sentinel"}
    text = json.dumps(before, sort_keys=True, separators=(",", ":"))
    assert run.id.endswith(hashlib.sha256(text.encode()).hexdigest()[:8])
    assert Run.from_dict(before) == run
    assert dataclasses.replace(run, sentinel=True).id != run.id
