import dataclasses
import logging
import types

import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import MAX_LENGTH, Prompt, base_metadata, check_base


def rows(length=3, width=4, dtype=np.float32):
    return np.arange(length * width).reshape(length, width).astype(dtype)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (rows().reshape(-1), "float32 matrix"),
        (rows()[None], "float32 matrix"),
        (rows(dtype=np.float64), "float32 matrix"),
        (rows(dtype=np.int32), "float32 matrix"),
        (rows(length=0), "length 0 is outside"),
        (np.zeros((MAX_LENGTH + 1, 1), np.float32), f"length {MAX_LENGTH + 1} is outside"),
        (np.full((2, 2), np.nan, np.float32), "finite"),
        (np.full((2, 2), np.inf, np.float32), "finite"),
    ],
)
def test_anything_but_a_finite_float32_matrix_is_refused(array, reason):
    with pytest.raises(UserError, match=reason):
        Prompt(array)


@pytest.mark.parametrize(
    ("position", "template", "reason"),
    [
        ("middle", None, "unknown position 'middle'"),
        ("template", "no place for {input}", "once each"),
        ("template", "{prompt} without the text", "once each"),
        ("template", "{prompt} twice {prompt} {input}", "once each"),
        ("prefix", "{prompt} x", "only used at position 'template'"),
    ],
)
def test_position_and_template_must_agree(position, template, reason):
    with pytest.raises(UserError, match=reason):
        Prompt(rows(), position, template)


@pytest.mark.parametrize("metadata", [{"step": 3}, {"position": "suffix"}, {"array_sha256": ""}])
def test_metadata_is_strings_under_free_keys(metadata):
    with pytest.raises(UserError, match="metadata"):
        Prompt(rows(), metadata=metadata)


def test_a_prompt_is_a_value():
    """Neither the caller's array and dict nor the prompt's own can change it later."""
    array, metadata = rows(), {"task": "rte"}
    prompt = Prompt(array, metadata=metadata)
    array[:] = 0
    metadata["task"] = "cb"
    assert np.array_equal(prompt.array, rows())
    assert prompt.metadata == {"task": "rte"}
    assert prompt.length == 3
    with pytest.raises(ValueError, match="read-only"):
        prompt.array[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.position = "suffix"


def test_a_prompt_fits_its_own_base_and_a_bare_array_any_of_its_width(make_t5):
    t5 = make_t5(revision="main")
    check_base(Prompt(rows(), metadata=base_metadata(t5)), t5)
    check_base(Prompt(rows()), t5)


def test_a_base_without_a_tokenizer_is_told_by_its_fingerprint(make_t5):
    bare = make_t5(tokenizer=types.SimpleNamespace(hash=""))
    assert base_metadata(bare) == {"base_model": "base-a", "base_fingerprint": "f" * 64}
    check_base(Prompt(rows(), metadata=base_metadata(make_t5())), bare)
    check_base(Prompt(rows(), metadata=base_metadata(bare)), make_t5())


@pytest.mark.parametrize(
    ("key", "reason"),
    [("base_fingerprint", "embedding table differs"), ("tokenizer_hash", "tokenizer differs")],
)
def test_another_base_is_refused_with_the_reason_unless_forced(make_t5, caplog, key, reason):
    t5 = make_t5(name="base-b")
    prompt = Prompt(rows(), metadata={**base_metadata(make_t5()), key: "0" * 64})
    with pytest.raises(UserError, match=f"made for base-a, and base-b.*{reason}.*force"):
        check_base(prompt, t5)
    with caplog.at_level(logging.WARNING):
        check_base(prompt, t5, force=True)
    assert reason in caplog.text


@pytest.mark.parametrize("force", [False, True])
def test_a_wrong_width_cannot_be_forced(make_t5, force):
    with pytest.raises(UserError, match="4 wide but base-a has d_model 8"):
        check_base(Prompt(rows()), make_t5(d_model=8), force)
