"""Strict JAX flags for every test, and the fixtures that several rooms share."""

import json
import os
import pathlib
import tempfile

# Most of the tests' time is compilation; programs that a test starts inherit this.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import hypothesis
import jax
import numpy as np
import pytest
import tokenizers

from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5, save_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.runtime import plain_cpu_products
from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.training.run import Run, UserTask, paper

plain_cpu_products()  # as the command line does: programs that a test starts compute alike
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The same examples in every run of continuous integration; new ones everywhere else.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Many tests compile the same functions; compile each once a session.
COMPILED = tempfile.TemporaryDirectory(prefix="prompt-tuning-tests-")
jax.config.update("jax_compilation_cache_dir", COMPILED.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

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


@pytest.fixture(scope="session")
def sentinels(tiny_t5, tmp_path_factory) -> pathlib.Path:
    """A folder with the tiny model's vocabulary and <extra_id_0> behind it, as in T5's files."""
    folder = tmp_path_factory.mktemp("tokenizer")
    content = json.loads((tiny_t5 / "tokenizer.json").read_text())
    added = [{"id": len(content["model"]["vocab"]), "content": "<extra_id_0>"}]
    (folder / "tokenizer.json").write_text(json.dumps({**content, "added_tokens": added}))
    return folder


GOOD, BAD = ("good", "great", "fine", "happy"), ("bad", "awful", "poor", "sad")


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory):
    """Sentences with one telling word; train, validation."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 64), ("validation", 24)):
        rows = []
        for n in range(count):
            words = GOOD if n % 2 else BAD
            text = f"the film was {words[rng.integers(4)]}" + " and long" * int(rng.integers(3))
            rows.append({"text": text, "mood": "yes" if n % 2 else "no"})
        files[split] = str(folder / f"{split}.jsonl")
        with open(files[split], "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return files


@pytest.fixture
def toy_run(tiny_t5, toy_files):
    """A function that makes a run: prompt tuning of the tiny model on the toy task."""

    def make(length=4, make_run=paper, **changes) -> Run:
        task = UserTask(
            files=toy_files,
            template="review: {text}",
            label_field="mood",
            labels={"no": "no", "yes": "yes"},
        )
        defaults = {
            "model": str(tiny_t5),
            "user_task": task,
            "prompt": PromptConfig(length=length, init="vocabulary"),
            "steps": 6,
            "eval_every": 3,
            "batch_size": 4,
            "max_input_length": 32,
            "max_target_length": 6,
        }
        return make_run("toy", **{**defaults, **changes})

    return make
