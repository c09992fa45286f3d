"""`predict`: a batch of many prompts and tasks gives what each request gives alone."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.predict import predict

REQUESTS = [
    {"prompt": "one", "input": "the film was good", "id": 7},
    {"prompt": "five", "input": "awful", "labels": ["yes", "no", "good film"]},
    {"prompt": None, "input": "it is a sad film"},
    {"prompt": "three", "input": "the film was good and the review was bad", "max_length": 4},
    {"prompt": "inside", "input": "a happy film"},
    {"prompt": "placed", "input": "it was {prompt} great"},
    {"prompt": "five", "input": "the film was good"},
    {"prompt": "one", "input": "it was bad", "labels": ["yes", "no", "good film"]},
    {"prompt": "placed", "input": "{prompt}x", "labels": ["no", "yes"]},
]


def test_a_mixed_batch_is_its_rows_alone(t5, prompts):
    together = predict(t5, prompts, REQUESTS, max_length=6)
    for n, (request, got) in enumerate(zip(REQUESTS, together, strict=True)):
        names = [request["prompt"]] if n < 2 else list(prompts)  # its own prompt alone, or all
        [alone] = predict(t5, {name: prompts[name] for name in names}, [request], max_length=6)
        assert {**got, "scores": None} == {**alone, "scores": None}
        if "labels" in request:
            a, b = got["scores"], alone["scores"]
            np.testing.assert_allclose(list(a.values()), list(b.values()), atol=1e-5)
            assert list(a) == request["labels"]
            assert got["output"] == max(a, key=a.get)
        assert request.items() <= got.items()
    assert len({got["output"] for got in together}) > 3
    backwards = predict(t5, dict(reversed(prompts.items())), REQUESTS[::-1], max_length=6)
    assert [r["output"] for r in backwards[::-1]] == [r["output"] for r in together]


def test_the_place_and_the_scores_by_hand(t5, prompts, likelihood):
    encode = t5.tokenizer.encode
    request = {"prompt": "placed", "input": "it was {prompt} great", "labels": ["no", "yes"]}
    [got] = predict(t5, prompts, [request])
    table = np.asarray(t5.params["token_embedder"]["embedding"], np.float32)
    before, after = table[encode("it was ")], table[[*encode(" great"), 1]]
    embedded = np.concatenate([before, prompts["placed"].array, after])
    want = [likelihood([0], [*encode(label), 1], embedded) for label in ("no", "yes")]
    np.testing.assert_allclose(list(got["scores"].values()), want, atol=1e-5)


def test_what_a_request_may_leave_out(t5, prompts):
    only, text = {"one": prompts["one"]}, {"input": "the film was good"}
    [named, unnamed] = predict(t5, only, [{"prompt": "one", **text}, text], max_length=6)
    assert named["output"] == unnamed["output"]
    asked = [text, {**text, "labels": None}, {**text, "labels": ["no", "yes"]}]
    got = predict(t5, only, asked, labels=["yes", "no", "good film"], max_length=6)
    assert [len(row.get("scores", ())) for row in got] == [3, 0, 2]
    assert got[1]["output"] == named["output"]
    assert predict(t5, prompts, []) == []


def test_an_earlier_answer_may_be_asked_again(t5, prompts):
    only = {"one": prompts["one"]}
    request = {"input": "the film was good and bad", "id": 3}
    options = {"max_input_length": 4, "labels": ["no", "yes"]}
    [before] = predict(t5, only, [request], **options)
    assert before.keys() == {"input", "id", "output", "scores", "truncated"}
    assert predict(t5, only, [before], max_length=6) == predict(t5, only, [request], max_length=6)


def test_labels_that_are_the_same_tokens_are_refused(t5, prompts):
    with pytest.raises(UserError, match=r"request 1: .*'é' and 'è' are the same to the tokenizer"):
        predict(t5, {}, [{"input": "good", "labels": ["é", "è"]}])


def test_long_inputs_are_marked_and_reported(t5, prompts, caplog):
    requests = [{"prompt": "one", "input": "good " * 40}, {"prompt": "one", "input": "good"}]
    got = predict(t5, prompts, requests, max_length=6, max_input_length=8)
    assert [row.get("truncated") for row in got] == [True, None]
    assert "1 of 2 inputs are longer than 8 tokens" in caplog.text


def test_bad_requests_are_one_clear_line(t5, prompts):
    for request, message in (
        ({"prompt": "fiev", "input": "x"}, "request 2: unknown prompt 'fiev'; did you mean five"),
        ({"prompt": "five"}, "request 2: there is no text under 'input'; it has: prompt"),
        ({"prompt": "five", "input": 3}, "there is no text"),
        ({"input": "x"}, "request 2: name its 'prompt': one, five"),
        ("x", "request 2: expected an object"),
        ({"prompt": "one", "input": "x", "labels": "yes"}, "labels must be a list of texts"),
        ({"prompt": "one", "input": "x", "labels": ["a", "a"]}, "a label is given twice"),
        ({"prompt": "one", "input": "x", "max_length": 0}, "max_length must be a whole number"),
        ({"prompt": ["one"], "input": "x"}, "request 2: unknown prompt"),
        ({"prompt": "one", "input": "a \ud800 b"}, "holds half of a surrogate pair"),
        ({"prompt": "one", "input": "x", "labels": ["a", "\udc00"]}, "half of a surrogate pair"),
        ({"prompt": "placed", "input": "x"}, "write {prompt} there, once"),
    ):
        with pytest.raises(UserError) as error:
            predict(t5, prompts, [{"prompt": "one", "input": "fine"}, request])
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_a_prompt_of_another_base_is_refused_unless_forced(t5, prompts, caplog):
    other = dataclasses.replace(prompts["one"], metadata={"base_fingerprint": "0" * 64})
    request = [{"input": "the film was good", "labels": ["no", "yes"]}]
    with pytest.raises(UserError, match=r"prompt 'mine': the prompt was made for another base"):
        predict(t5, {"mine": other}, request)
    want = predict(t5, {"mine": prompts["one"]}, request)
    assert predict(t5, {"mine": other}, request, force=True) == want
    assert "forced" in caplog.text
