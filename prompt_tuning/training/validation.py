"""The loss on held-out documents, the same number whenever the same weights are asked."""

import collections
import functools
from typing import Any

import jax
import jax.numpy as jnp

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.model import T5
from prompt_tuning.t5.tokenizer import Tokenizer
from prompt_tuning.training.batches import Batch
from prompt_tuning.training.corpus import Corpus, Document, load_corpus
from prompt_tuning.training.objectives import noise_counts, span_lengths
from prompt_tuning.training.pretraining import Pretraining, make_batch
from prompt_tuning.training.step import Objective, run_loss


def sentinel_ids(config: Pretraining, tokenizer: Tokenizer) -> list[int]:
    """The sentinels that a row of span corruption needs. UserError if they are not there."""
    if config.objective == "prefix_lm":
        return []
    spans = noise_counts(span_lengths(config.length)[0])[1]
    try:
        return [tokenizer.sentinel(k) for k in range(spans)]
    except UserError as error:
        raise UserError(f"{error}: span corruption of {config.length} ids needs {spans}") from error


class Validation:
    """Loss and accuracy on fixed batches of held-out documents, of weights as they are saved."""

    def __init__(self, config: Pretraining, t5: T5Config, tokenizer: Tokenizer, corpus: Corpus):
        self.dtype, sentinels = jnp.dtype(config.save_dtype), sentinel_ids(config, tokenizer)
        self.batches = [
            make_batch(config, t5, corpus, sentinels, config.text.seed, n)
            for n in range(config.eval_batches)
        ]
        model = T5(t5, dtype=jnp.dtype(config.dtype), remat=config.remat)
        objective = Objective(model, 0.0, "mean", 1)

        def sums(params: Any, batch: Batch) -> Any:
            saved = jax.tree.map(lambda x: x.astype(self.dtype).astype(jnp.float32), params)
            return run_loss({"model": saved}, {"model": saved}, batch, jax.random.key(0), objective)

        self.sums = jax.jit(lambda params, batch: sums(params, batch)[1])

    def measure(self, params: Any) -> dict[str, float]:
        """ "loss" (nats a target token) and "accuracy" of a parameter tree."""
        totals: dict[str, float] = collections.defaultdict(float)
        for batch in self.batches:
            for name, value in self.sums(params, batch).items():
                totals[name] += float(value)
        tokens = max(totals["tokens"], 1.0)
        return {"loss": totals["nll"] / tokens, "accuracy": totals["correct"] / tokens}


def validation_loss(t5: FrozenT5, config: Pretraining, document: Document | None = None) -> float:
    """The loss of a model on the held-out documents of a run, as its model card records it."""
    part = functools.partial(load_corpus, config.text, "held_out", t5.tokenizer)
    held_out = part(document=document, eos_id=t5.config.eos_id)
    return Validation(config, t5.config, t5.tokenizer, held_out).measure(t5.params)["loss"]
