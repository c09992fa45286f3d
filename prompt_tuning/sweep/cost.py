"""What a run costs, known before it starts: parameters and floating-point operations."""

import functools
import json
import os
import pathlib
import re

import jax
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.cells import T5, split_model
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.hf_config import config_from_hf
from prompt_tuning.t5.layers import few_queries
from prompt_tuning.t5.load import pocket_folder
from prompt_tuning.t5.model import count_params, param_shapes
from prompt_tuning.training.run import Run

# Examples of a dev split whose size is not known before it is read.
DEV_EXAMPLES = 500
PEAK, SHARE = 989e12, 0.4  # FLOPs a second of an H100 SXM, dense bfloat16; the share of it assumed
_FLAN = re.compile(rf"(?:^|/)flan-t5-({'|'.join(SIZES)})$")  # T5 1.1, too


@functools.lru_cache(maxsize=256)
def model_config(model: str) -> T5Config | None:
    """The architecture behind a model's name, without its weights; None if only loading tells."""
    if model.startswith("random:"):
        return SIZES.get(model.removeprefix("random:"))
    try:
        folder = pocket_folder(model) if model.startswith("pocket:") else os.path.expanduser(model)
        file = pathlib.Path(folder) / "config.json"
        return config_from_hf(json.loads(file.read_text(encoding="utf-8")), str(file))
    except (OSError, ValueError, UserError):
        pass
    family, size, _ = split_model(model)
    if family == T5:
        return SIZES[size]
    flan = _FLAN.search(model)
    return SIZES[flan[1]] if flan else None


def parameters(model: str) -> int | None:
    """The number of parameters of a model, if its name tells."""
    config = model_config(model)
    return None if config is None else count_params(config)


def run_flops(run: Run) -> float | None:
    """Floating-point operations of training and evaluations, from above: inputs at their limit.

    Two for each parameter and token of a forward pass, as many again for the gradient to the
    inputs, and for model tuning as many again for that to the weights; attention by its products.
    """
    config = model_config(run.model)
    if config is None:
        return None
    shapes = param_shapes(config)
    encoder = _size(shapes["encoder"])
    decoder = _size({k: v for k, v in shapes["decoder"].items() if k != "logits_dense"})
    rows = (run.prompt.length or 0) if run.method == "prompt" else 0
    inputs, targets = run.max_input_length + rows, run.max_target_length
    head = config.d_model * config.vocab_size
    few = few_queries(config, targets)  # then the encoder's output is attended to as it is
    seen = targets if few else targets + inputs
    attention = 4 * config.d_attention * (
        config.num_layers * inputs**2 + config.num_decoder_layers * targets * seen
    )  # fmt: skip
    # Or decoder layers map every encoder position to a key and a value.
    width = config.num_heads * targets if few else config.d_attention
    cross = 4 * config.num_decoder_layers * config.d_model * width * inputs
    forward = 2.0 * (encoder * inputs + (decoder + head) * targets) + cross + attention
    passes = 2 if run.method == "prompt" else 3
    evaluations = max(1, -(-run.steps // run.eval_every))
    answered = evaluations * (run.dev_examples or DEV_EXAMPLES)
    return forward * (passes * run.steps * run.batch_size + answered)


def accelerator_hours(flops: float) -> float:
    """Hours of one NVIDIA H100 at `SHARE` of its peak: an assumption, not a measurement."""
    return flops / (PEAK * SHARE) / 3600


def _size(tree: object) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
