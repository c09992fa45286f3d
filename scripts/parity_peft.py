"""PEFT's prompt tuning against ours; a part of `parity.py`."""

import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from prompt_tuning.evaluation.inference import forward
from prompt_tuning.prompts.prompt import Prompt, load_prompt
from prompt_tuning.t5.load import load_t5
from scripts.parity_cases import Report, inputs, weight


def check_peft(report: Report, torch: Any, peft: Any, make_model: Callable[[], Any]) -> None:
    """Our prompt forward is PEFT's, and each reads what the other writes.

    `make_model` gives a PyTorch T5 with 64 tokens and d_model 16.
    """
    model = make_model()
    given = inputs(64, 12)
    ids_BT = given["ids"][:2]  # PEFT would put the padding of a left-padded row behind the prompt
    decoder_ids_BU = np.roll(given["targets"][:2], 1, axis=1)
    decoder_ids_BU[:, 0] = 0
    prompt = Prompt(weight("prompt", (5, 16)))
    ids, decoder_ids = torch.from_numpy(ids_BT).long(), torch.from_numpy(decoder_ids_BU).long()

    def logits(tuned: Any) -> np.ndarray:
        with torch.no_grad():
            out = tuned(
                input_ids=ids, attention_mask=(ids > 0).long(), decoder_input_ids=decoder_ids
            )
        return out.logits.numpy()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model.save_pretrained(folder / "base")
        t5 = load_t5(folder / "base")
        want = np.asarray(forward(t5, ids_BT, decoder_ids_BU, prompt))
        bare = np.asarray(forward(t5, ids_BT, decoder_ids_BU))
        report.check("PEFT: the prompt matters", np.abs(want - bare).max() > 0.1, True)
        prompt.save(folder / "adapter", format="peft")
        tuned = peft.PeftModel.from_pretrained(model, folder / "adapter").eval()
        report.check("PEFT: loads ours, logits", logits(tuned), want, 1e-4)
        for submodules in (1, 2):
            base = make_model()
            config = peft.PromptTuningConfig(
                task_type="SEQ_2_SEQ_LM",
                num_virtual_tokens=5,
                num_transformer_submodules=submodules,
            )
            tuned = peft.get_peft_model(base, config).eval()
            target = folder / f"peft_{submodules}"
            tuned.save_pretrained(target)
            found = forward(t5, ids_BT, decoder_ids_BU, load_prompt(target))
            report.check(
                f"PEFT: ours loads {submodules} x 5 rows, logits", found, logits(tuned), 1e-4
            )
