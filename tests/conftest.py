"""Strict JAX flags for every test, and the fixtures that several rooms share."""

import os
import pathlib

import jax
import pytest
import tokenizers

from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5, save_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.tokenizer import load_tokenizer

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real data beside the project (or $PROMPT_TUNING_DATA)."""
    path = pathlib.Path(os.environ.get("PROMPT_TUNING_DATA") or ROOT.parent / "shared" / "data")
    if not (path / "README.md").is_file():
        pytest.skip(f"the validation data is not at {path}; set PROMPT_TUNING_DATA")
    return path


TINY = T5Config(
    vocab_size=320,
    d_model=16,
    d_kv=8,
    d_ff=32,
    num_layers=2,
    num_decoder_layers=2,
    num_heads=2,
    num_buckets=8,
    max_distance=16,
)


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Hugging Face folder: a T5 of random weights with a small English vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    words = "the a is was it film review premise hypothesis good bad great awful yes no sad happy"
    letters = [chr(c) for c in range(33, 127)]
    pieces = ["<pad>", "</s>", "<unk>", *(f"\u2581{word}" for word in words.split()), "\u2581"]
    vocabulary = [(piece, -float(i)) for i, piece in enumerate([*pieces, *letters])]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    words_only = load_tokenizer(folder / "tokenizer.json")
    save_t5(FrozenT5(TINY, init_params(TINY, seed=7), words_only, "tiny"), folder / "tiny")
    return folder / "tiny"
