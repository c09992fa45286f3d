"""Hugging Face `config.json` of T5, as transformers 4 and 5 write it, to `T5Config` and back.

Both versions overload two keys. What is read here, from transformers 4.57 and 5.23
(`configuration_t5.py`, `modeling_t5.py` and their mT5 twins):

- `feed_forward_proj` is `ACT` or `gated-ACT`, and `gated-gelu` means the tanh form of gelu.
  `dense_act_fn` and `is_gated_act`, where the file has them, overrule it, as they do there.
- `tie_word_embeddings` meant in version 4 two things at once: the head is the embedding table, and
  the decoder's output is multiplied by `d_model**-0.5`. T5 ties by default, mT5 does not.
- Version 5 always writes true. Its T5 keeps the scaling in `scale_decoder_outputs`; its mT5 never
  scales. Whether the head is tied is then known only from the weights, see `hf_weights.read_hf`.
"""

from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config

# transformers' ACT2FN names that equal one of layers.ACTIVATIONS; the first is the one written.
ACTIVATION_NAMES: dict[str, tuple[str, ...]] = {
    "relu": ("relu",),
    "gelu_tanh": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),
    "gelu": ("gelu", "gelu_python"),
    "silu": ("silu", "swish"),
}
_SIZES = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")


def _value(raw: dict[str, Any], key: str, kind: type, default: Any, where: str) -> Any:
    """`raw[key]` of the given type; `default` where it is absent or null."""
    value = raw.get(key)
    if value is None:
        return default
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{where}: {key} must be of type {kind.__name__}, not {value!r}")
    return value


def _feed_forward(raw: dict[str, Any], where: str) -> tuple[bool, str]:
    """(gated, our name of the activation)."""
    default = "gated-gelu" if raw["model_type"] == "mt5" else "relu"
    declared = _value(raw, "feed_forward_proj", str, default, where)
    gate, _, name = declared.rpartition("-")
    if gate not in ("", "gated"):
        raise UserError(f"{where}: feed_forward_proj {declared!r} is neither ACT nor gated-ACT")
    if declared == "gated-gelu":
        name = "gelu_new"
    name = _value(raw, "dense_act_fn", str, name, where)
    for ours, theirs in ACTIVATION_NAMES.items():
        if name in theirs:
            return _value(raw, "is_gated_act", bool, gate == "gated", where), ours
    known = ", ".join(name for names in ACTIVATION_NAMES.values() for name in names)
    raise UserError(f"{where}: unknown activation {name!r}; known are {known}")


def _scaled(raw: dict[str, Any], where: str) -> bool:
    """Whether the decoder's output is scaled; the writer's version decides what the keys mean."""
    scaled = _value(raw, "scale_decoder_outputs", bool, None, where)
    if scaled is not None:
        return scaled
    mt5 = raw["model_type"] == "mt5"
    version = str(raw.get("transformers_version") or "4").split(".")[0]
    if mt5 and version.isdecimal() and int(version) >= 5:
        return False
    return _value(raw, "tie_word_embeddings", bool, not mt5, where)


def _eos(raw: dict[str, Any], where: str) -> int:
    """The end-of-sequence id; a list must name one id, because decoding stops at one."""
    eos = raw.get("eos_token_id")
    if isinstance(eos, list):
        if len(set(eos)) != 1:
            raise UserError(f"{where}: eos_token_id must be one id, not {eos}; keep one of them")
        eos = eos[0]
    return _value({"eos_token_id": eos}, "eos_token_id", int, 1, where)


def config_from_hf(raw: dict[str, Any], where: str = "config.json") -> T5Config:
    """The architecture that a `config.json` describes.

    `tied_head` is what the file says (version 4) or may say (version 5, see above). `where` names
    the file in errors. Raises UserError for other model types, unknown activations and ids, a
    padding id other than 0, sizes that are missing or not positive integers.
    """
    model_type = raw.get("model_type")
    if model_type not in ("t5", "mt5"):
        raise UserError(
            f"{where}: model_type {model_type!r} is not supported; this reads t5 (T5 1.0 and 1.1, "
            "Flan-T5, ByT5) and mt5"
        )
    sizes = {key: _value(raw, key, int, None, where) for key in _SIZES}
    if missing := [key for key, value in sizes.items() if value is None]:
        raise UserError(f"{where}: no {', '.join(missing)}; is this the config.json of a T5?")
    gated, activation = _feed_forward(raw, where)
    fields: dict[str, Any] = dict(
        **sizes,
        num_decoder_layers=_value(raw, "num_decoder_layers", int, sizes["num_layers"], where),
        num_buckets=_value(raw, "relative_attention_num_buckets", int, 32, where),
        max_distance=_value(raw, "relative_attention_max_distance", int, 128, where),
        gated=gated,
        activation=activation,
        tied_head=_value(raw, "tie_word_embeddings", bool, model_type == "t5", where),
        scale_logits=_scaled(raw, where),
        layer_norm_epsilon=_value(raw, "layer_norm_epsilon", float, 1e-6, where),
        dropout_rate=_value(raw, "dropout_rate", float, 0.1, where),
        pad_id=_value(raw, "pad_token_id", int, 0, where),
        eos_id=_eos(raw, where),
        decoder_start_id=_value(raw, "decoder_start_token_id", int, 0, where),
    )
    try:
        return T5Config(**fields)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def config_to_hf(config: T5Config) -> dict[str, Any]:
    """The `config.json` from which `T5ForConditionalGeneration` and `config_from_hf` get `config`.

    Transformers 5 reads every combination. Version 4 cannot express a scaled head that is untied,
    nor an unscaled one that is tied.
    """
    activation = ACTIVATION_NAMES[config.activation][0]
    declared = "gelu" if config.gated and activation == "gelu_new" else activation
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_kv": config.d_kv,
        "d_ff": config.d_ff,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "num_heads": config.num_heads,
        "relative_attention_num_buckets": config.num_buckets,
        "relative_attention_max_distance": config.max_distance,
        "feed_forward_proj": f"gated-{declared}" if config.gated else declared,
        "dense_act_fn": activation,
        "is_gated_act": config.gated,
        "tie_word_embeddings": config.tied_head,
        "scale_decoder_outputs": config.scale_logits,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "dropout_rate": config.dropout_rate,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "decoder_start_token_id": config.decoder_start_id,
    }
