import dataclasses
import inspect
import logging

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.init import PromptConfig, init_prompt
from prompt_tuning.prompts.prompt import MAX_LENGTH, Prompt, base_metadata
from prompt_tuning.t5.tokenizer import load_tokenizer


def table_of(t5):
    return np.asarray(t5.params["token_embedder"]["embedding"], np.float32)


def ids_of(t5, array):
    """The token of every row, by exact search in the table."""
    rows = {row.tobytes(): id for id, row in enumerate(table_of(t5))}
    return [rows[row.tobytes()] for row in array]


@pytest.mark.parametrize(
    ("init", "low", "high"), [("uniform", -0.5, 0.5), ("uniform_released", 0.0, 0.5)]
)
def test_the_uniform_of_the_paper_and_of_the_released_code(make_t5, init, low, high):
    values = init_prompt(make_t5(d_model=32), 1000, init).array.ravel()
    assert values.min() >= low
    assert values.max() < high
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    scaled = init_prompt(make_t5(d_model=32), 1000, init, scale=5.0).array.ravel()
    np.testing.assert_allclose(scaled, values * 10, rtol=1e-5, atol=1e-5)


def test_normal_has_the_asked_deviation(make_t5):
    values = init_prompt(make_t5(d_model=32), 1000, "normal").array.ravel()
    assert stats.kstest(values, stats.norm.cdf).pvalue > 1e-3
    scaled = init_prompt(make_t5(d_model=32), 1000, "normal", scale=0.1).array.ravel()
    np.testing.assert_allclose(scaled, values * 0.1, rtol=1e-5)


def test_vocabulary_samples_the_first_5000_without_replacement(make_t5):
    t5 = make_t5()  # 6,000 pieces
    ids = ids_of(t5, init_prompt(t5, 4096, "vocabulary").array)
    assert len(set(ids)) == 4096
    assert max(ids) < 5000
    counts = np.histogram(ids, bins=16, range=(0, 5000))[0]
    assert counts.min() > 0.8 * 4096 / 16  # not the first 4,096
    assert min(ids) < 3  # pad, eos and unk take part, as in the released code


def test_vocabulary_of_a_small_model_repeats_only_if_it_must(make_t5):
    t5 = make_t5(size=40)
    assert sorted(ids_of(t5, init_prompt(t5, 40, "vocabulary").array)) == list(range(40))
    ids = ids_of(t5, init_prompt(t5, 41, "vocabulary").array)
    assert max(ids) < 40  # the padded rows of the table are not words


def test_class_labels_follow_the_papers_rule(make_t5):
    t5 = make_t5()
    prompt = init_prompt(t5, 6, "class_labels", seed=3, labels=["positive", "not_entailment"])
    table = table_of(t5).astype(np.float64)
    # Hand-made oracle: "positive" is word 6; "not_entailment" is the words 4, 3 and 5.
    np.testing.assert_array_equal(prompt.array[0], table[6])
    np.testing.assert_allclose(prompt.array[1], (table[4] + table[3] + table[5]) / 3, rtol=1e-6)
    sampled = init_prompt(t5, 6, "vocabulary", seed=3)
    np.testing.assert_array_equal(prompt.array[2:], sampled.array[2:])
    assert init_prompt(t5, labels=["positive"]).array.shape == (100, 4)  # the paper's default


def test_surplus_labels_are_dropped_and_named(make_t5, caplog):
    t5 = make_t5()
    with caplog.at_level(logging.WARNING):
        prompt = init_prompt(t5, 1, labels=["good", "bad", "negative"])
    assert ids_of(t5, prompt.array) == t5.tokenizer.encode("good")
    assert "['bad', 'negative']" in caplog.text


def test_text_seeds_the_embeddings_of_its_tokens(make_t5, caplog):
    t5 = make_t5()
    text = "is the film good"
    ids = t5.tokenizer.encode(text)
    exact = init_prompt(t5, None, "text", text=text)
    np.testing.assert_array_equal(exact.array, table_of(t5)[ids])
    longer = init_prompt(t5, 7, "text", text=text, seed=5)
    np.testing.assert_array_equal(longer.array[:4], exact.array)
    np.testing.assert_array_equal(
        longer.array[4:], init_prompt(t5, 7, "vocabulary", seed=5).array[4:]
    )
    assert caplog.text == ""
    shorter = init_prompt(t5, 2, "text", text=text)
    np.testing.assert_array_equal(shorter.array, exact.array[:2])
    assert "['film', 'good']" in caplog.text  # the whole tail, not one piece of it


def test_file_gives_the_exact_rows_of_this_base(make_t5, tmp_path):
    t5, path = make_t5(), tmp_path / "p.safetensors"
    saved = Prompt(np.ones((3, 4), np.float32), metadata=base_metadata(t5))
    saved.save(path)
    for length in (3, None):
        assert np.array_equal(init_prompt(t5, length, "file", path=path).array, saved.array)
    with pytest.raises(UserError, match="has 3 rows, the run asks for 100"):
        init_prompt(t5, init="file", path=path)
    with pytest.raises(UserError, match="d_model 8"):
        init_prompt(make_t5(d_model=8), 3, "file", path=path)
    other = make_t5(fingerprint="0" * 64)
    with pytest.raises(UserError, match="made for base-a"):
        init_prompt(other, 3, "file", path=path)
    forced = init_prompt(other, 3, "file", path=path, force=True)
    assert forced.metadata["base_fingerprint"] == other.fingerprint


INITS = [
    {"init": "uniform"},
    {"init": "normal"},
    {"init": "vocabulary"},
    {"init": "class_labels", "labels": ["good"]},
    {"init": "text", "text": "good"},
]


@pytest.mark.parametrize("options", INITS)
def test_prompts_are_functions_of_the_seed(make_t5, options):
    first, again, other = (
        init_prompt(make_t5(), 5, seed=seed, **options).array for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_numbers_stay_what_they_are(make_t5):
    """A saved run must start from the same prompt after an upgrade of anything."""
    uniform = init_prompt(make_t5(), 1, "uniform", seed=17).array
    np.testing.assert_allclose(uniform, [[0.31866038, -0.21985978, 0.46342069, 0.20539087]])
    sampled = init_prompt(make_t5(), 4, "vocabulary", seed=17).array
    assert ids_of(make_t5(), sampled) == [4816, 4090, 3526, 1400]


@pytest.mark.parametrize("options", INITS)
def test_a_bfloat16_table_gives_float32_rows(make_t5, options):
    t5 = make_t5(dtype=jnp.bfloat16)
    rounded = make_t5(params={"token_embedder": {"embedding": jnp.asarray(table_of(t5))}})
    assert np.array_equal(
        init_prompt(t5, 5, **options).array, init_prompt(rounded, 5, **options).array
    )


def test_a_new_prompt_knows_its_base_and_place(make_t5):
    t5 = make_t5(revision="main")
    prompt = init_prompt(
        t5, 2, "normal", position="template", template="{prompt} so {input}", seed=9
    )
    assert (prompt.position, prompt.template) == ("template", "{prompt} so {input}")
    assert prompt.metadata == {**base_metadata(t5), "init": "normal", "seed": "9"}
    assert prompt.metadata["base_revision"] == "main"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"init": "xavier"}, "unknown prompt initialiser 'xavier'"),
        ({"init": "uniform", "length": 0}, "length 0 is outside"),
        ({"init": "uniform", "length": MAX_LENGTH + 1}, "is outside 1 to"),
        ({"init": "uniform", "length": None}, "needs a prompt length"),
        ({"init": "uniform", "scale": 0.0}, "must be positive"),
        ({"init": "uniform", "scale": float("inf")}, "must be positive"),
        ({"init": "vocabulary", "scale": 1.0}, "scale is for"),
        ({"init": "vocabulary", "text": "good"}, "text is for"),
        ({"init": "text", "text": "good", "path": "p.npy"}, "path is for"),
        ({"init": "class_labels"}, "needs labels"),
        ({"init": "class_labels", "labels": ["good", " "]}, "' ' has no tokens"),
        ({"init": "text"}, "needs a text"),
        ({"init": "text", "text": " "}, "' ' has no tokens"),
        ({"init": "text", "text": "a " * (MAX_LENGTH + 1), "length": None}, "is outside 1 to"),
        ({"init": "file"}, "needs the path"),
        ({"init": "file", "path": "absent.npy"}, "no prompt at"),
        ({"init": "uniform", "position": "infix"}, "unknown position"),
    ],
)
def test_bad_requests_say_what_is_wrong(make_t5, options, reason):
    with pytest.raises(UserError, match=reason):
        init_prompt(make_t5(), **options)


def test_the_config_is_the_keywords_of_init_prompt():
    """`init_prompt(t5, **asdict(config), seed=..., labels=...)`, with the same defaults."""
    config = {field.name: field.default for field in dataclasses.fields(PromptConfig)}
    assert config.pop("shots") == 0  # the run makes them part of the text
    keywords = inspect.signature(init_prompt).parameters.values()
    expected = {word.name: word.default for word in keywords}
    for of_the_run in ("t5", "seed", "labels"):
        expected.pop(of_the_run)
    assert config == expected


def test_class_labels_with_the_real_vocabulary(make_t5, shared_data):
    tokenizer = load_tokenizer(shared_data / "t5" / "spiece.model")
    t5 = make_t5(size=tokenizer.size, tokenizer=tokenizer)
    labels = ["entailment", "not_entailment"]
    prompt = init_prompt(t5, 5, "class_labels", labels=labels)
    table = table_of(t5)
    for row, label in zip(prompt.array, labels, strict=False):
        ids = tokenizer.encode(label)
        assert len(ids) > 1
        np.testing.assert_allclose(row, table[ids].mean(axis=0), rtol=1e-5)
    assert max(ids_of(t5, prompt.array[2:])) < 5000
