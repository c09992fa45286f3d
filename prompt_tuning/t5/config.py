"""The configuration of every T5: T5 1.0, T5 1.1 (LM-adapted or not), mT5, Flan-T5, ByT5."""

import dataclasses
from typing import Literal, get_args

from prompt_tuning.errors import UserError

Activation = Literal["relu", "gelu_tanh", "gelu", "silu"]  # the keys of layers.ACTIVATIONS


@dataclasses.dataclass(frozen=True)
class T5Config:
    """The architecture of one T5. The defaults are T5 1.1 small.

    Names follow Hugging Face where it has one; `gated`, `activation`, `tied_head` and
    `scale_logits` replace its overloaded `feed_forward_proj` and `tie_word_embeddings`. Raises
    UserError for what is no architecture.
    """

    vocab_size: int = 32128  # rows of the embedding table (32,100 pieces, padded)
    d_model: int = 512
    d_kv: int = 64  # width of one head; heads * d_kv need not be d_model
    d_ff: int = 1024
    num_layers: int = 8  # encoder
    num_decoder_layers: int = 8
    num_heads: int = 6
    num_buckets: int = 32  # relative positions
    max_distance: int = 128  # relative positions
    gated: bool = True  # act(wi_0 x) * (wi_1 x), T5 1.1; otherwise act(wi x), T5 1.0
    activation: Activation = "gelu_tanh"
    tied_head: bool = False  # the output matrix is the embedding table (T5 1.0)
    scale_logits: bool = False  # decoder output * d_model**-0.5 before the head (T5 1.0)
    layer_norm_epsilon: float = 1e-6
    dropout_rate: float = 0.1
    pad_id: int = 0  # always, as batches are filled up with it
    eos_id: int = 1
    decoder_start_id: int = 0

    def __post_init__(self) -> None:
        if self.activation not in (known := get_args(Activation)):
            raise UserError(f"unknown activation {self.activation!r}; known: {', '.join(known)}")
        positive = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers",
                    "num_heads", "layer_norm_epsilon")  # fmt: skip
        if bad := [name for name in positive if not getattr(self, name) > 0]:
            raise UserError(f"{', '.join(bad)} must be positive")
        if self.num_buckets < 4 or self.max_distance <= self.num_buckets // 2:
            raise UserError(
                "num_buckets must be at least 4 and max_distance more than half of it, not "
                f"{self.num_buckets} and {self.max_distance}"
            )
        if not 0 <= self.dropout_rate < 1:
            raise UserError(f"dropout_rate must be in [0, 1), not {self.dropout_rate}")
        for name in ("pad_id", "eos_id", "decoder_start_id"):
            if not 0 <= getattr(self, name) < self.vocab_size:
                raise UserError(f"{name} {getattr(self, name)} is outside the vocabulary")
        if self.pad_id != 0:
            raise UserError(f"the padding id must be 0, as in every T5, not {self.pad_id}")

    @property
    def d_attention(self) -> int:
        """Width of the concatenated heads, H * K."""
        return self.num_heads * self.d_kv


def _v1_1(heads: int, layers: int, d_model: int, d_ff: int) -> T5Config:
    return T5Config(
        d_model=d_model, d_ff=d_ff, num_layers=layers, num_decoder_layers=layers, num_heads=heads
    )


# T5 1.1: heads, layers on each side, d_model, d_ff (t5x/examples/t5/t5_1_1).
SIZES: dict[str, T5Config] = {
    "small": _v1_1(6, 8, 512, 1024),
    "base": _v1_1(12, 12, 768, 2048),
    "large": _v1_1(16, 24, 1024, 2816),
    "xl": _v1_1(32, 24, 2048, 5120),
    "xxl": _v1_1(64, 24, 4096, 10240),
}
