"""A tiny frozen model and prompts that differ in length and place."""

import numpy as np
import pytest

from prompt_tuning.evaluation.inference import forward
from prompt_tuning.prompts.prompt import Prompt, base_metadata
from prompt_tuning.t5.load import load_t5


@pytest.fixture(scope="session")
def t5(tiny_t5):
    return load_t5(tiny_t5)


@pytest.fixture(scope="session")
def prompts(t5):
    rng = np.random.default_rng(0)
    places = {
        "one": (1, "prefix", None),
        "five": (5, "suffix", None),
        "three": (3, "after_first", None),
        "inside": (4, "template", "the {prompt} of {input}"),
        "placed": (2, "template", None),
    }
    return {
        name: Prompt(
            2 * rng.standard_normal((length, t5.config.d_model), dtype=np.float32),
            position,
            template,
            base_metadata(t5),
        )
        for name, (length, position, template) in places.items()
    }


@pytest.fixture(scope="session")
def likelihood(t5):
    """An oracle: the log-likelihood of target ids, from the logits of `forward`, in float64."""

    def compute(input_ids, target_ids, prompt=None) -> float:
        decoder_ids = [0, *target_ids[:-1]]
        decoder_ids += [0] * (8 - len(decoder_ids))  # later inputs change no earlier logits
        logits = np.asarray(forward(t5, [input_ids], [decoder_ids], prompt), np.float64)[0]
        logp = logits - np.log(np.exp(logits).sum(-1))[:, None]
        return sum(logp[n, id] for n, id in enumerate(target_ids))

    return compute
