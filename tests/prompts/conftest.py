"""A frozen model in miniature: a random table, a word tokenizer, and what identifies a base."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5.config import T5Config

SPELT = "<pad> </s> <unk> _ not entailment positive negative a is it good bad the film"
WORDS = SPELT.split()


class WordTokenizer:
    """Splits at spaces and underscores; ids past the words are `w<id>`."""

    hash = "a" * 64

    def __init__(self, size: int):
        self.size = size

    def encode(self, text: str) -> list[int]:
        words = text.replace("_", " _ ").split()
        return [WORDS.index(word) if word in WORDS else 2 for word in words]

    def pieces(self, ids: list[int]) -> list[str]:
        return [WORDS[id] if id < len(WORDS) else f"w{id}" for id in ids]


@pytest.fixture
def make_t5():
    """make_t5(d_model, size, dtype, **changes); 16 rows of the table stand for no piece."""

    def make(d_model: int = 4, size: int = 6000, dtype=jnp.float32, **changes):
        rng = np.random.default_rng(0)
        table = rng.standard_normal((size + 16, d_model)).astype(np.float32) * 10
        fields = {
            "config": T5Config(d_model=d_model, vocab_size=size + 16),
            "params": {"token_embedder": {"embedding": jnp.asarray(table, dtype)}},
            "tokenizer": WordTokenizer(size),
            "name": "base-a",
            "revision": None,
            "fingerprint": "f" * 64,
        }
        return types.SimpleNamespace(**{**fields, **changes})

    return make
