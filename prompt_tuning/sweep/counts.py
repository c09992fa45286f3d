"""Figure 4 and Table 4: how many parameters each method trains for a task, computed.

P prompt length, d width of the model, a = heads * head width of its attention, L layers on a side.
"""

import dataclasses
from collections.abc import Callable

from prompt_tuning.sweep import paper_values
from prompt_tuning.t5.config import SIZES, T5Config

LENGTHS = range(1, 101)  # the range of the paper's Figure 4
HIDDEN = 512  # of prefix tuning's reparameterising network (Li & Liang 2021, table-to-text)
LABELS = 2  # class vectors of WARP (Hambardzumyan et al. 2021): a binary task
BOTTLENECK = 64  # of adapters (Houlsby et al. 2019)


@dataclasses.dataclass(frozen=True)
class Count:
    """Trained parameters of a method at one size of T5 1.1, over prompt lengths 1 to 100."""

    method: str
    size: str
    low: int
    mean: float
    high: int


def prompt_tuning(config: T5Config, length: int) -> int:
    """P * d."""
    return length * config.d_model


def warp(config: T5Config, length: int) -> int:
    """(P + labels) * d: a prompt, and a vector for each class in place of the output words."""
    return (length + LABELS) * config.d_model


def prefix_tuning(config: T5Config, length: int) -> int:
    """P * 2 L a: keys and values of every encoder layer, which is what is kept to predict."""
    return length * 2 * config.num_layers * config.d_attention


def prefix_reparameterised(config: T5Config, length: int) -> int:
    """A [P, d] table and a network d -> 512 -> 2 L a that makes the prefixes, while training."""
    out = 2 * config.num_layers * config.d_attention
    return length * config.d_model + (config.d_model + 1) * HIDDEN + (HIDDEN + 1) * out


def adapters(config: T5Config, length: int) -> int:
    """Two bottlenecks d -> 64 -> d in every layer of both sides; no prompt, so no length."""
    one = 2 * config.d_model * BOTTLENECK + config.d_model + BOTTLENECK
    return 2 * (config.num_layers + config.num_decoder_layers) * one


def model_tuning(config: T5Config, length: int) -> int:
    """Every weight. Follows Table 4: two embedding tables, gated layers, one bias table a side."""
    d, a = config.d_model, config.d_attention
    feed_forward = 3 * d * config.d_ff + d
    encoder = config.num_layers * (4 * d * a + d + feed_forward) + d
    decoder = config.num_decoder_layers * (8 * d * a + 2 * d + feed_forward) + d
    return 2 * config.vocab_size * d + encoder + decoder + 2 * config.num_buckets * config.num_heads


METHODS: dict[str, Callable[[T5Config, int], int]] = {
    "model tuning": model_tuning,
    "adapters": adapters,
    "prefix tuning, reparameterised": prefix_reparameterised,
    "prefix tuning": prefix_tuning,
    "WARP": warp,
    "prompt tuning": prompt_tuning,
}


def counts() -> list[Count]:
    """Every method at every size of T5 1.1."""
    found = []
    for method, count in METHODS.items():
        for size in paper_values.SIZES:
            values = [count(SIZES[size], length) for length in LENGTHS]
            mean = sum(values) / len(values)
            found.append(Count(method, size, min(values), mean, max(values)))
    return found


CAPTION = (
    "Figure 4. Parameters trained for one task, computed for T5 1.1: lines are means over prompt "
    "lengths 1 to 100, bars go from length 1 to 100. Prefix tuning: keys and values of the "
    "encoder's layers; reparameterised: made by a network with "
    f"{HIDDEN} hidden units while training. WARP: the prompt and {LABELS} class vectors. "
    f"Adapters: two of width {BOTTLENECK} in every layer. Hollow: {paper_values.PAPER}, digitised."
)
