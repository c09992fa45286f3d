"""A wider T5 that computes what a narrower one computes: a start for training the wider one.

Net2Net (Chen, Goodfellow & Shlens 2016, arXiv:1511.05641): every unit is copied, and the weights by
which its copies are read sum to those of the unit. The sums are divided at random, so that the
copies have different gradients and learn different things.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config

# What a kernel `[in, out]` reads and gives; all others read and give the residual stream.
_AXES = {
    **dict.fromkeys(("query", "key", "value"), ("model", "heads")),
    "out": ("heads", "model"),
    **dict.fromkeys(("wi", "wi_0", "wi_1"), ("model", "ff")),
    "wo": ("ff", "model"),
    "logits_dense": ("model", "vocab"),
}


def widen(params: Any, narrow: T5Config, wide: T5Config, seed: int = 0) -> Any:
    """The parameters of `wide`, which gives the logits of `narrow` with `params` (to rounding).

    `wide` may have more units of `d_model`, `d_kv` and `d_ff`, each a multiple; all else is equal.
    Raises UserError otherwise, and for T5s whose embeddings are also their head (T5 1.0), since
    these scale their logits by d_model.
    """
    before: dict[str, Any] = dataclasses.asdict(narrow)
    after: dict[str, Any] = dataclasses.asdict(wide)
    widths = ("d_model", "d_kv", "d_ff")
    wrong = [name for name in widths if after[name] % before[name]]
    wrong += [name for name in before if name not in widths and before[name] != after[name]]
    if wrong:
        raise UserError(
            "a model is widened in d_model, d_kv and d_ff alone, each to a multiple: not in "
            + ", ".join(wrong)
        )
    if wide.tied_head:
        raise UserError("a model whose head is its embeddings (T5 1.0) cannot be widened")
    rng = np.random.default_rng(seed)
    heads = np.arange(wide.num_heads * wide.d_kv)
    copied = {
        "model": np.arange(wide.d_model) % narrow.d_model,
        "heads": heads // wide.d_kv * narrow.d_kv + heads % wide.d_kv % narrow.d_kv,
        "ff": np.arange(wide.d_ff) % narrow.d_ff,
        "vocab": np.arange(wide.vocab_size),
    }

    def leaf(path: tuple[Any, ...], array: Any) -> np.ndarray:
        names = [key.key for key in path]
        values = np.asarray(array, np.float32)
        if names[-1] == "rel_embedding":
            return values
        if names[-1] != "kernel":  # embeddings and the scales of norms
            return values[..., copied["model"]]
        of, to = (copied[name] for name in _AXES[names[-2]])
        shares = rng.uniform(size=(*values.shape[:-2], len(of), len(to))).astype(np.float32)
        sums = np.zeros((*values.shape[:-1], len(to)), np.float32)
        np.add.at(np.moveaxis(sums, -2, 0), of, np.moveaxis(shares, -2, 0))
        wider = values[..., of, :][..., to] * shares / sums[..., of, :]
        # Products of queries and keys are sums over copies.
        return wider * (narrow.d_kv / wide.d_kv) if names[-2] == "query" else wider

    return jax.tree_util.tree_map_with_path(leaf, params)
