"""What the paper's experiments share: its models, tasks, seeds and settings (section 3, appendix
A).

No experiment itself. Every function returns runs; keywords change single fields.
"""

from collections.abc import Sequence
from typing import Any

import prompt_tuning as pt
from prompt_tuning.errors import UserError
from prompt_tuning.sweep.paper_values import SIZES, SUITE

SEEDS = (0, 1, 2)  # the mean of three runs, everywhere but in Table 3
# Longest output in tokens, EOS included, where it is not a label: ReCoRD and SQuAD write names.
OUTPUTS = {"super_glue/record": 32, "squad": 32, "super_glue/multirc": 8}


def miniature(setting: str) -> bool:
    """Whether an experiment's pocket setting is meant, not the paper's; UserError for others."""
    if setting not in ("paper", "pocket"):
        raise UserError(f"this experiment has the settings paper and pocket, not {setting}")
    return setting == "pocket"


def adapted(size: str) -> str:
    """T5 1.1 after 100,000 steps of LM adaptation: the frozen model of the paper's prompts."""
    return f"google/t5-{size}-lm-adapt"


def unadapted(size: str) -> str:
    """T5 1.1 itself: what model tuning starts from, and Figure 3c's span corruption."""
    return f"google/t5-v1_1-{size}"


def prompt(task: str, size: str, seed: int = 0, *, length: int = 100, **changes: Any) -> pt.Run:
    """Prompt tuning in the default setting: 100 rows from class labels, 30,000 steps at 0.3.

    Activations are bfloat16, as the authors' are, and frozen weights with them; what is kept for
    the backward pass lets the populations of a sweep fit into 80 GB (`prompt-tuning plan`).
    """
    init = {"length": length, **changes.pop("prompt", {})}
    fields = {
        "model": adapted(size),
        "dtype": "bfloat16",
        "remat": "full" if size in ("xl", "xxl") else "dots",
        "seed": seed,
        "max_target_length": OUTPUTS.get(task, 16),
    }
    return pt.paper(task, **{**fields, **changes, "prompt": init})


def model(task: str, size: str, seed: int = 0, **changes: Any) -> pt.Run:
    """Model tuning of a task: batches of 2^16 input tokens at the rate of 0.001; float32."""
    fields = {
        "model": unadapted(size),
        "remat": "full",
        "seed": seed,
        "batch_size": 128,
        "max_target_length": OUTPUTS.get(task, 16),
    }
    return pt.model_tuning(task, **{**fields, **changes})


def multitask(size: str, seed: int = 0, **changes: Any) -> pt.Run:
    """Model tuning on all of SuperGLUE with DPR: 2^20 tokens a batch, task names in the text."""
    fields = {"batch_size": 2048, "micro_batches": 16, "task_name_in_text": True}
    return model("mixture/super_glue", size, seed, **{**fields, "max_target_length": 32, **changes})


# Prompt design: a text for each task, alone and with four examples; the best on dev counts.
TEXTS = {
    "super_glue/boolq": "Read the passage and answer the question with True or False.",
    "super_glue/cb": "Does the premise support the hypothesis? entailment, contradiction, neutral.",
    "super_glue/copa": "Which is the cause or effect of the premise? choice1 or choice2.",
    "super_glue/multirc": "Does the answer fit the question and the paragraph? True or False.",
    "super_glue/record": "Fill the gap in the query with one of the entities of the passage.",
    "super_glue/rte": "Does the hypothesis follow from the premise? entailment, not_entailment.",
    "super_glue/wic": "Does the word mean the same in both sentences? True or False.",
    "super_glue/wsc": "Whom does the pronoun between stars stand for?",
}
SHOTS = (0, 4)


def designs(task: str, size: str) -> list[pt.Run]:
    """Prompts of words on the frozen model, zero- and few-shot, before and behind the input."""
    templates = ("{prompt} {input}", "{prompt} {input} answer:")
    found = designed(TEXTS[task], templates)
    return [prompt(task, size, steps=0, prompt=config) for config in found]


def designed(text: str, templates: Sequence[str]) -> list[dict[str, Any]]:
    """Settings of prompts that are a text, alone and with examples, in each template."""
    return [
        {
            "length": None,
            "init": "text",
            "text": text,
            "shots": shots,
            "position": "template",
            "template": template,
        }
        for shots in SHOTS
        for template in templates
    ]


__all__ = ["SEEDS", "SIZES", "SUITE", "adapted", "designed", "designs", "miniature", "model",
           "multitask", "prompt", "unadapted"]  # fmt: skip
