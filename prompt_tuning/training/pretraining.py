"""One pre-training or LM adaptation: everything that decides its weights, as a frozen dataclass."""

import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.rows import pack
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.t5.widen import widen
from prompt_tuning.tasks import pocket
from prompt_tuning.tasks.base import check_choices
from prompt_tuning.training.batches import Batch, fill_batch
from prompt_tuning.training.corpus import Corpus, TextConfig
from prompt_tuning.training.objectives import prefix_lm, span_corruption, span_lengths
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.run import build

# T5's own: 1 / sqrt(step) from step 10,000 on, relative to each array's scale (T5, section 3.1.2;
# there the rate is constant before, here it warms up).
T5_OPTIMIZER = OptimizerConfig(
    learning_rate=0.01,
    weight_decay=0.0,
    warmup_steps=10_000,
    decay="inverse_sqrt",
    scale_by_parameter=True,
)
GROUP = 32  # rows packed together: packing takes time with the square of them
MARGIN = 0.97  # of the documents that fit on average; a batch that they do not fit loses some


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """T5's pre-training by default. Give an `architecture`, or the model to `start` from, or both:
    then the model is first widened to the architecture (`t5.widen`).
    """

    name: str = "t5"  # of the model; begins the directory's name
    architecture: T5Config | None = None  # to train from scratch
    start: str | None = None  # the model to go on from (a folder), as LM adaptation does
    tokenizer: str | None = None  # a folder, a file or "pocket"; None: that of `start`
    text: TextConfig = dataclasses.field(default_factory=TextConfig)
    objective: Literal["span_corruption", "prefix_lm"] = "span_corruption"  # prefix_lm: adaptation
    split: Literal["anywhere", "last"] = "anywhere"  # prefix_lm: last leaves one token to continue
    length: int = 512  # ids of an encoder row, all of them used (T5)
    batch_size: int = 128  # rows (T5: 2 ** 16 tokens a batch)
    micro_batches: int = 1  # the batch in so many equal parts, for memory: the same update
    steps: int = 100_000  # LM adaptation (paper section 2); T5 1.1's pre-training is 1M
    optimizer: OptimizerConfig = T5_OPTIMIZER
    keep_steps: tuple[int, ...] = ()  # models kept on the way, each a folder step-N
    eval_every: int = 1000  # steps between two validation losses
    eval_batches: int = 8  # of held-out documents
    dropout: float = 0.0  # T5 1.1 has none in pre-training
    z_loss: float = 0.0  # T5's: 1e-4 * log(Z) ** 2
    dtype: Literal["float32", "bfloat16"] = "float32"  # of activations; weights are float32
    save_dtype: Literal["float32", "bfloat16"] = "float32"  # of the models written
    remat: Literal["none", "dots", "full"] = "none"  # what the backward pass recomputes
    seed: int = 0  # initialisation, order of documents, noise and splits

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("steps", "batch_size", "eval_every", "eval_batches", "micro_batches"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise UserError(f"seed must be at least 0, not {self.seed}")
        if self.architecture is None and self.start is None:
            raise UserError("give an architecture, to train from scratch, or a start, or both")
        if self.start is None and self.tokenizer is None:
            raise UserError("name a tokenizer: training from scratch has none of its own")
        if self.split == "last" and self.objective != "prefix_lm":
            raise UserError("split last is of the objective prefix_lm")
        if self.length < 8:
            raise UserError(f"length must be at least 8, not {self.length}")
        if self.batch_size % self.micro_batches:
            raise UserError(
                f"batch_size {self.batch_size} is not a multiple of {self.micro_batches} "
                "micro_batches"
            )
        if not all(0 < step <= self.steps for step in self.keep_steps):
            raise UserError(f"keep_steps must lie between 1 and {self.steps}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1), not {self.dropout}")
        if not (math.isfinite(self.z_loss) and self.z_loss >= 0):
            raise UserError(f"z_loss must be 0 or more and finite, not {self.z_loss}")

    @property
    def id(self) -> str:
        """A readable name with a hash of the configuration; names the directory."""
        text = json.dumps(self.without_places(), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = f"{self.name}-{self.objective}-s{self.seed}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name) + f"-{digest}"

    def without_places(self) -> dict[str, Any]:
        """`to_dict` with only the last two parts of paths: the same wherever the folders lie."""

        def short(path: str | None) -> str | None:
            return path and "/".join(pathlib.Path(path).parts[-2:])

        config = self.to_dict()
        config |= {"start": short(self.start), "tokenizer": short(self.tokenizer)}
        config["text"]["files"] = [short(file) for file in self.text.files]
        return config

    @property
    def full_optimizer(self) -> OptimizerConfig:
        """The optimiser, its decay to 0 ending at the last step unless it says otherwise."""
        total = self.optimizer.total_steps or self.steps
        return dataclasses.replace(self.optimizer, total_steps=total)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Pretraining":
        """The inverse of `to_dict`; `architecture` may also be what `architecture` takes.

        An unknown field raises UserError with the closest names.
        """
        named = values.get("architecture")
        if isinstance(named, str):
            values = {**values, "architecture": dataclasses.asdict(architecture(named))}
        nested = {"architecture": T5Config, "text": TextConfig, "optimizer": OptimizerConfig}
        return build(cls, values, nested)


def architecture(name_or_file: str) -> T5Config:
    """A size of T5 1.1 by name, or the fields of a `T5Config` in a JSON file."""
    if name_or_file in SIZES:
        return SIZES[name_or_file]
    try:
        values = json.loads(pathlib.Path(name_or_file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sizes = ", ".join(SIZES)
        raise UserError(f"{name_or_file}: neither a size ({sizes}) nor a JSON file") from error
    return build(T5Config, values, {})


def starting_model(config: Pretraining) -> FrozenT5:
    """The model that training starts from, in float32."""
    named = pocket.TOKENIZER if config.tokenizer == "pocket" else config.tokenizer
    if config.start is not None:
        t5 = load_t5(config.start, dtype="float32", tokenizer=named)
        if config.architecture is None:
            return t5
        params = widen(t5.params, t5.config, config.architecture, config.seed)
        return dataclasses.replace(t5, config=config.architecture, params=params)
    assert config.architecture is not None
    assert named is not None
    tokenizer = load_tokenizer(named)
    if tokenizer.size > config.architecture.vocab_size:
        raise UserError(
            f"the tokenizer has {tokenizer.size} pieces: set the architecture's vocab_size, which "
            f"is {config.architecture.vocab_size}, to no less"
        )
    params = jax.jit(functools.partial(init_params, config.architecture))(config.seed)
    return FrozenT5(config.architecture, params, tokenizer, config.name)


def make_batch(
    config: Pretraining, t5: T5Config, corpus: Corpus, sentinels: list[int], seed: int, step: int
) -> Batch:
    """The batch of a step, a function of (seed, step): shape (batch_size, length, target length).

    Span corruption cuts the stream of documents into rows without padding. The prefix LM splits
    each document by itself, as T5 does, and packs them: up to a tenth of the places stay empty.
    """
    rng = np.random.default_rng((seed, step))
    B, T = config.batch_size, config.length
    if config.objective == "span_corruption":
        L, U = span_lengths(T)
        tokens = corpus.read(seed, step * B * L, B * L).reshape(B, L)
        rows = span_corruption(tokens, rng, sentinels, t5.eos_id)
        inputs, targets = rows[0].tolist(), rows[1].tolist()
        layout = [[b] for b in range(B)]
    else:
        last = config.split == "last"
        U = max(T // 8, 2) if last else T  # targets of two ids, of several documents
        window = _window(corpus, B, (T, U), t5.eos_id, last)
        tokens = corpus.read(seed, step * window, window)
        inputs, targets = prefix_lm(_documents(tokens, t5.eos_id), rng, T, t5.eos_id, last)
        sizes = [(len(x), len(y)) for x, y in zip(inputs, targets, strict=True)]
        layout = []
        for g in range(-(-B // GROUP)):
            share = min(GROUP, B - g * GROUP)
            first, beyond = (n * len(sizes) // B for n in (g * GROUP, g * GROUP + share))
            packed = pack(sizes[first:beyond], (T, U))[:share]
            layout += [[first + n for n in row] for row in packed]
    shape = (B, T, U)
    return fill_batch(
        inputs, targets, layout, shape, start_id=t5.decoder_start_id, pad_id=t5.pad_id
    )


def _documents(tokens: np.ndarray, eos_id: int) -> list[np.ndarray]:
    """A stretch of the stream as its documents, without EOS; the outer two may be cut off."""
    return [text[text != eos_id] for text in np.split(tokens, np.flatnonzero(tokens == eos_id))]


@functools.lru_cache(maxsize=4)
def _window(corpus: Corpus, rows: int, limit: tuple[int, int], eos_id: int, last: bool) -> int:
    """How many tokens of the stream make a batch of the prefix LM, found by packing some."""
    length = limit[0]
    tried, needed = 0, 0
    for trial in range(8):
        count = 2 * length * min(rows, GROUP)
        documents = _documents(corpus.read(0, trial * count, count), eos_id)
        pieces = prefix_lm(documents, np.random.default_rng(trial), length, eos_id, last)
        sizes = [(len(x), len(y)) for x, y in zip(*pieces, strict=True)]
        tried, needed = tried + count, needed + len(pack(sizes, limit))
    return max(int(MARGIN * tried / max(needed, 1)), 1) * rows
