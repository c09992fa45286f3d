"""Outputs that begin with <extra_id_0>, of prompts that were trained so (paper section 2.2)."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation import jobs
from prompt_tuning.evaluation.ensemble import ensemble
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.evaluation.predict import predict
from prompt_tuning.evaluation.rows import encode_targets
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.t5.load import load_t5
from prompt_tuning.tasks.user import user_task


@pytest.fixture(scope="module")
def base(tiny_t5, sentinels):
    return load_t5(tiny_t5, tokenizer=sentinels)


@pytest.fixture(scope="module")
def marked(prompts, base, tmp_path_factory):
    """A prompt whose file says that it was trained with a sentinel, and the same one without."""
    plain = dataclasses.replace(prompts["three"], metadata={})
    path = tmp_path_factory.mktemp("prompts") / "prompt.safetensors"
    dataclasses.replace(plain, metadata={"sentinel": "<extra_id_0>"}).save(path)
    return {"marked": load_prompt(path), "plain": plain}


@pytest.fixture(scope="module")
def task(toy_files):
    labels = {"no": "no", "yes": "good film"}
    return user_task("toy", toy_files, "review: {text}", label_field="mood", labels=labels)


def test_targets_keep_the_sentinel_within_their_length(base):
    first, encode = base.tokenizer.sentinel(0), base.tokenizer.encode_batch
    good, film = base.tokenizer.encode("good film")
    for length, want, lost in ((4, [first, good, film, 1], 0), (3, [first, good, 1], 1)):
        found, cut = encode_targets(["good film"], encode, max_length=length, start=(first,))
        assert (found, cut) == ([want], lost)


def test_labels_are_scored_behind_the_sentinel(base, marked, task, likelihood):
    first, encode = base.tokenizer.sentinel(0), base.tokenizer.encode
    table = np.asarray(base.params["token_embedder"]["embedding"], np.float32)
    tokens = [*encode("the film was good"), 1]
    embedded = np.concatenate([table[tokens[:1]], marked["plain"].array, table[tokens[1:]]])
    text = {"input": "the film was good", "labels": task.labels}
    requests = [{"prompt": "marked", **text}, {"prompt": "plain", **text}]
    found = predict(base, marked, requests)
    for got, start in zip(found, ([first], []), strict=True):
        want = [likelihood([0], [*start, *encode(x), 1], embedded) for x in task.labels]
        np.testing.assert_allclose(list(got["scores"].values()), want, atol=1e-5)
    plain = {"plain": marked["plain"]}
    assert predict(base, plain, requests[1:], sentinel=True)[0]["scores"] == pytest.approx(
        found[0]["scores"], abs=1e-5
    )


def test_outputs_lose_the_sentinel_in_front(base, marked, task, monkeypatch):
    first, [good], [no] = base.tokenizer.sentinel(0), *map(base.tokenizer.encode, ("good", "no"))
    written = [[first, no, 1, 0], [no, 1, 0, 0], [first, first, good, 1], [good, first, 1, 0]]

    def answers(t5, rows, max_length, **options):
        return [np.array(written[n % 4]) for n in range(len(rows))]

    monkeypatch.setattr(jobs, "generate_ids", answers)
    kept = ["<extra_id_0> no", "no", "<extra_id_0> <extra_id_0> good", "good <extra_id_0>"]
    lost = ["no", "no", "<extra_id_0> good", "good <extra_id_0>"]
    options = {"limit": 4, "max_target_length": 4}
    for prompt, told, want in (
        (marked["plain"], False, kept),
        (marked["plain"], True, lost),
        (marked["marked"], False, lost),
        (None, False, kept),
        (None, True, lost),
    ):
        assert evaluate(base, task, prompt, sentinel=told, **options).predictions == want
    both = ensemble(base, task, [marked["plain"], marked["marked"]], **options)
    assert [single.predictions for single in both.single] == [kept, lost]
    requests = [{"prompt": name, "input": "x"} for name in ("marked", "plain", "plain", "marked")]
    outputs = [row["output"] for row in predict(base, marked, requests, max_length=4)]
    assert outputs == [lost[0], kept[1], kept[2], lost[3]]


def test_what_cannot_be_is_one_clear_line(t5, base, marked, task):
    bare = {"marked": dataclasses.replace(marked["marked"], metadata={"sentinel": "<extra_id_0>"})}
    for call in (
        lambda: evaluate(t5, task, sentinel=True),
        lambda: predict(t5, bare, [{"input": "x"}]),
        lambda: ensemble(t5, task, list(bare.values())),
    ):
        with pytest.raises(UserError, match=r"\(sentinel\): this vocabulary has no <extra_id_0>"):
            call()
    with pytest.raises(UserError, match="has 4 tokens with EOS and <extra_id_0>: raise max_target"):
        evaluate(base, task, marked["marked"], max_target_length=3)
