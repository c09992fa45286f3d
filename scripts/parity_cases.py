"""The cases of `parity.py`: tiny T5s with weights from names, and what this project makes of them.

A golden file (`tests/golden/NAME.npz`) holds the inputs and PyTorch's outputs of one case, and the
`config.json` that transformers wrote; the weights need no storing. No torch in here: the tests
import it too. Tolerances: logits 1e-4 in float32; token ids and buckets exactly.
"""

import copy
import dataclasses
import functools
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.t5 import names
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.decode import beam_search, greedy, score_targets
from prompt_tuning.t5.layers import Params
from prompt_tuning.t5.model import T5, apply

GOLDEN = pathlib.Path(__file__).parent.parent / "tests" / "golden"
LENGTH, BEAMS = 16, 4  # of the generated text
DISTANCES = np.arange(-3000, 3001)
BUCKETS = ((32, 128), (8, 20), (4, 8), (64, 256), (32, 512), (16, 100))  # (buckets, max distance)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One tiny T5, as transformers is told of it."""

    kwargs: dict[str, Any]
    untied: bool = True  # transformers 5 ties every random head: give it weights of its own
    family: str = "T5"
    input_length: int = 12


_T5 = {"vocab_size": 64, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_heads": 3, "num_layers": 2}
_V1_1 = _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
VARIANTS = {
    "t5_1_0": Variant(_T5, untied=False),
    "t5_1_1": Variant(_V1_1),
    "flan": Variant(_V1_1 | {"d_kv": 4, "num_heads": 4, "num_layers": 3}),
    "mt5": Variant(_V1_1 | {"vocab_size": 90}, family="MT5"),
    "byt5": Variant(_V1_1 | {"vocab_size": 384, "num_layers": 3, "num_decoder_layers": 1}),
    "gated_silu": Variant(_V1_1 | {"feed_forward_proj": "gated-silu"}),
    "exact_gelu": Variant(_V1_1 | {"feed_forward_proj": "gelu"}),
    "untied_scaled": Variant(_T5),
    "tied_unscaled": Variant(_T5 | {"tie_word_embeddings": False}, untied=False),
    "buckets": Variant(
        _V1_1 | {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20},
        input_length=48,
    ),
}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 tensor of a Hugging Face name: uniform, unit variance before scaling."""
    x = np.random.default_rng(zlib.crc32(name.encode())).random(shape) * 12**0.5 - 3**0.5
    if "layer_norm" in name:
        x = 1 + 0.1 * x
    elif "relative_attention_bias" not in name and name != "shared.weight":
        x = x * shape[1] ** -0.5
    if name in ("shared.weight", "lm_head.weight"):
        x[1] *= 3  # EOS comes often enough for sequences to end
    return x.astype(np.float32)


def seeded_params(config: T5Config) -> Params:
    """The tree of the model whose weights are `weight` of their names."""

    def read(tensor: names.Tensor) -> np.ndarray:
        array = weight(tensor.hf, tensor.shape[::-1] if tensor.transposed else tensor.shape)
        return array.T if tensor.transposed else array

    return names.build_tree(config, read, np.dtype(np.float32), "seeded weights")


def inputs(vocab_size: int, length: int) -> dict[str, np.ndarray]:
    """Three rows: full, padded on the right, padded on the left; and their targets, padded."""
    rng = np.random.default_rng(0)
    ids_BT = rng.integers(2, vocab_size, (3, length), np.int32)
    ids_BT[1, length // 2 :] = 0
    ids_BT[2, : length // 3] = 0
    targets_BU = rng.integers(2, vocab_size, (3, 6), np.int32)
    targets_BU[:, 5] = 1
    targets_BU[1, 3:] = [1, 0, 0]
    return {"ids": ids_BT, "targets": targets_BU}


def ours(
    config: T5Config, params: Params, given: dict[str, np.ndarray], beams: bool = True
) -> dict[str, np.ndarray]:
    """What this project computes of the inputs: the arrays of a golden file.

    Beams are compared where nothing ends: transformers drops an ended hypothesis that is not among
    the first BEAMS candidates of its step, T5X (and so this project) keeps it. With EOS, the score
    of each of its beams must be right, and its best may not be better than ours.
    """
    arrays = (given[name] for name in ("ids", "targets", "ended"))
    found = _ours(config, beams, params, *arrays)
    return {key: np.asarray(value) for key, value in found.items()}


@functools.partial(
    jax.jit,
    static_argnames=("config", "beams"),
    compiler_options={"xla_backend_optimization_level": 0},  # it runs once: compile fast
)
def _ours(
    config: T5Config,
    beams: bool,
    params: Params,
    ids_BT: Array,
    targets_BU: Array,
    ended_BNU: Array,
) -> dict[str, Array]:
    model = T5(config)
    segments_BT = (ids_BT > 0).astype(jnp.int32)
    x_BTD = apply(model, params, ids_BT, method="embed")
    encoded = (params, apply(model, params, x_BTD, segments_BT, method="encode"), segments_BT)
    start_B1 = jnp.full_like(targets_BU[:, :1], config.decoder_start_id)
    shifted_BU = jnp.concatenate([start_B1, targets_BU[:, :-1]], axis=1)
    valid_BU = (targets_BU > 0).astype(jnp.int32)
    logits_BUV = apply(
        model, params, shifted_BU, encoded[1], valid_BU, segments_BT, method="decode"
    )
    # One more text a row, the targets: their scores give the loss.
    targets_B1U = jnp.pad(targets_BU, ((0, 0), (0, LENGTH - targets_BU.shape[1])))[:, None]
    scores_BN = score_targets(model, *encoded, jnp.concatenate([ended_BNU, targets_B1U], axis=1))
    found = {
        "logits": jnp.where(valid_BU[:, :, None] > 0, logits_BUV, 0.0),
        "loss": -scores_BN[:, -1].sum() / valid_BU.sum().astype(jnp.float32),
        "greedy": greedy(model, *encoded, LENGTH),
        "ended_scores": scores_BN[:, :-1],
    }
    if not beams:
        return found
    never = copy.copy(config)
    object.__setattr__(never, "eos_id", config.vocab_size)  # no architecture, but none ends
    endless = T5(never)
    beams_BWU, beam_scores_BW = beam_search(endless, *encoded, LENGTH, beams=BEAMS, alpha=0.0)
    _, best_BW = beam_search(model, *encoded, LENGTH, beams=BEAMS, alpha=0.0)
    best = {"beams": beams_BWU, "beam_scores": beam_scores_BW, "best_score": best_BW[:, 0]}
    return found | best


def buckets(find: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """The buckets of DISTANCES, by direction, number of buckets and maximum distance."""
    return {
        f"{'both' if both else 'past'}_{number}_{far}": find(
            DISTANCES, bidirectional=both, num_buckets=number, max_distance=far
        ).astype(np.int8)
        for both in (True, False)
        for number, far in BUCKETS
    }


class Report:
    """Prints one line a check and remembers whether any failed."""

    failed = False

    def check(self, what: str, got: Any, want: Any, tolerance: float = 0.0) -> None:
        got, want = np.asarray(got), np.asarray(want)
        same_shape = got.shape == want.shape
        worst = np.abs(got.astype(np.float64) - want.astype(np.float64)).max() if same_shape else -1
        fine = same_shape and worst <= tolerance
        self.failed |= not fine
        print(f"{'ok  ' if fine else 'FAIL'} {what}: largest difference {worst:.2g}")


def compare(report: Report, name: str, got: dict[str, np.ndarray], want: dict[str, np.ndarray]):
    """Checks what `ours` found against PyTorch's values, live or from a golden file."""
    report.check(f"{name} logits", got["logits"], want["logits"], 1e-4)
    report.check(f"{name} loss", got["loss"], want["loss"], 1e-4)
    report.check(f"{name} greedy ids", got["greedy"], want["greedy"])
    # A 0 inside a text is generated padding, which `score_targets` does not count.
    texts, ended = want["ended"], (want["ended"] == 1).sum(-1) == 1
    plain = ended & ((texts == 0) == (np.cumsum(texts == 1, -1) - (texts == 1) > 0)).all(-1)
    report.check(
        f"{name} scores of ended beams",
        np.where(plain, got["ended_scores"], 0),
        np.where(plain, want["ended_scores"], 0),
        1e-3,
    )
    if "beams" not in got:
        return
    report.check(f"{name} beam ids", got["beams"], want["beams"])
    report.check(f"{name} beam scores", got["beam_scores"], want["beam_scores"], 1e-3)
    behind = np.where(ended[:, 0], want["ended_scores"][:, 0] - got["best_score"], 0)
    report.check(f"{name} best beam", np.maximum(behind, 0), np.zeros(len(behind)), 1e-3)


def t5x_summary(logits_BUV: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of logits over the whole vocabulary: every 61st, the sum, the best."""
    peak = logits_BUV.max(-1, keepdims=True)
    return {
        "some_logits": logits_BUV[..., ::61],
        "logsumexp": np.log(np.exp(logits_BUV - peak).sum(-1)) + peak[..., 0],
        "best": logits_BUV.argmax(-1).astype(np.int32),
    }


def write_golden(name: str, arrays: dict[str, np.ndarray]) -> None:
    np.savez_compressed(GOLDEN / f"{name}.npz", allow_pickle=False, **arrays)


def read_golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)
