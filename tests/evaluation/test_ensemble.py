"""Ensembles: one pass with many prompts equals one pass each; the majority decides."""

import dataclasses

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.ensemble import ensemble, majority
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.tasks.mixture import mix
from prompt_tuning.tasks.user import user_task


@pytest.fixture
def task(toy_files):
    labels = {"no": "no", "yes": "yes"}
    return user_task("toy", toy_files, "review: {text}", label_field="mood", labels=labels)


def test_the_majority_decides_and_of_equals_the_earliest():
    votes = [["a", "a", "a", "b"], ["b", "b", "b", "a"], ["b", "a", "c", "c"]]
    assert majority(votes) == ["b", "a", "a", "b"]
    assert majority([["a", "b"]]) == ["a", "b"]


def test_prompts_in_one_batch_answer_as_each_alone(t5, prompts, task):
    chosen = [prompts[name] for name in ("one", "five", "three")]
    options = {"method": "score", "limit": 9, "max_target_length": 5}
    found = ensemble(t5, task, chosen, **options)
    alone = [evaluate(t5, task, prompt, **options) for prompt in chosen]
    assert [e.predictions for e in found.single] == [e.predictions for e in alone]
    votes = zip(*(e.predictions for e in alone), strict=True)
    assert found.vote.predictions == [max(("no", "yes"), key=vote.count) for vote in votes]
    scores = [e.scores.primary for e in alone]
    assert found.average == pytest.approx(sum(scores) / 3)
    assert found.best == max(scores)
    with pytest.raises(UserError, match="needs prompts"):
        ensemble(t5, task, [])
    with pytest.raises(UserError, match="limit must be at least 1"):
        ensemble(t5, task, chosen, limit=0)


def test_a_limit_is_of_each_task_of_a_mixture(t5, prompts, task):
    both = mix("both", [task, dataclasses.replace(task, name="again")], [1, 1])
    found = ensemble(t5, both, [prompts["one"], prompts["five"]], limit=3)
    assert [example.id[0] for example in found.vote.examples] == list("000111")
