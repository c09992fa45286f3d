"""The main job: the paper's scaling study in miniature, on the pocket family and suite.

Command: `prompt-tuning sweep pocket`, or `make reproduce`, which also writes figures and a report.
`--setting full` adds all tasks, three seeds, length 150 and the ablations.
Cost: minutes on two CPU cores; `--setting full` takes hours. It can be interrupted at any time.
The paper found (Figures 1 and 3a): prompt tuning catches up with model tuning as the frozen model
grows; larger models need fewer virtual tokens.
Expect: what `make reproduce` wrote is in the README.
"""

import dataclasses
from typing import Any

import prompt_tuning as pt
from experiments import real
from prompt_tuning.errors import UserError
from prompt_tuning.sweep.figures import LENGTH_BY_SIZE, SCALE

FIGURES = (SCALE, LENGTH_BY_SIZE)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """Learning rates of one size, chosen on the dev split for each method alike, and steps."""

    prompt_rate: float
    prompt_steps: int
    model_rate: float
    model_steps: int


# ---- the numbers of the study ---------------------------------------------------------------
SIZES = {
    "xs": Tuned(prompt_rate=0.3, prompt_steps=400, model_rate=0.005, model_steps=1500),
    "s": Tuned(prompt_rate=0.3, prompt_steps=300, model_rate=0.003, model_steps=800),
    "b": Tuned(prompt_rate=0.3, prompt_steps=150, model_rate=0.002, model_steps=200),
    "l": Tuned(prompt_rate=0.1, prompt_steps=100, model_rate=0.001, model_steps=100),
    "xl": Tuned(prompt_rate=0.1, prompt_steps=100, model_rate=0.0005, model_steps=100),
}
TASKS = ("pocket/topic", "pocket/sst2", "pocket/cb", "pocket/qqp")
MORE_TASKS = (  # --setting full
    *("pocket/boolq", "pocket/copa", "pocket/multirc", "pocket/mrpc"),
    *("pocket/rte", "pocket/wic"),
)
ABLATED = ("pocket/topic", "pocket/qqp")  # the tasks of the ablations
SEEDS = {"pocket": (0,), "full": (0, 1, 2)}
LENGTHS = {"pocket": (1, 5, 20, 100), "full": (1, 5, 20, 100, 150)}
DEFAULT_LENGTH = 20  # of the ablations
EVALUATIONS = 1  # on dev, of every run of every method
# Packing gives the same updates in less time: the texts are of many lengths.
SHARED = {"batch_size": 16, "max_input_length": 64, "max_target_length": 3, "packing": True}
# Steps of LM adaptation whose models are shipped beside the full one; that has lessons as well.
ADAPTATION = {
    "xs": (0, 300, 1500, 3000),
    "s": (0, 300, 1500, 3000),
    "b": (0, 300, 1500, 3000),
    "l": (0,),
}
# ----------------------------------------------------------------------------------------------

# Prompt design: a text for each task in the words of the pocket language; the best on dev counts.
TEXTS = {
    "pocket/boolq": "is it so , yes or no ?",
    "pocket/cb": "is that true , false or unknown ?",
    "pocket/copa": "which is right , the first or the second ?",
    "pocket/multirc": "is the answer true or false ?",
    "pocket/rte": "does it follow ? it is certain or doubtful .",
    "pocket/wic": "does the word mean the same or something different ?",
    "pocket/sst2": "is it good or bad ?",
    "pocket/topic": "what is this about ?",
    "pocket/mrpc": "do they agree or differ ?",
    "pocket/qqp": "is the question new or repeated ?",
}
TEMPLATES = {
    "pocket": ("{prompt} {input}",),
    "full": ("{prompt} {input}", "{input} {prompt}"),
}


def prompt(
    task: str, size: str, seed: int = 0, *, length: int = DEFAULT_LENGTH, **changes: Any
) -> pt.Run:
    """Prompt tuning as the paper has it, with this study's rate and steps. size: "xs", "xs@200"."""
    tuned = SIZES[size.partition("@")[0]]
    fields: dict[str, Any] = {
        **SHARED,
        "model": f"pocket:{size}",
        "seed": seed,
        "steps": tuned.prompt_steps,
        "eval_every": -(-tuned.prompt_steps // EVALUATIONS),
        **changes,
        "prompt": {"length": length, **changes.get("prompt", {})},
        "optimizer": {"learning_rate": tuned.prompt_rate, **changes.get("optimizer", {})},
    }
    return pt.paper(task, **fields)


def model(task: str, size: str, seed: int = 0, **changes: Any) -> pt.Run:
    """Model tuning, with its own rate and as many dev evaluations.

    Without dropout: with T5's 0.1 models as small as these score up to 18 points less.
    """
    tuned = SIZES[size.partition("@")[0]]
    rate = changes.pop("learning_rate", tuned.model_rate)
    fields: dict[str, Any] = {
        **SHARED,
        "model": f"pocket:{size}",
        "seed": seed,
        "steps": tuned.model_steps,
        "eval_every": -(-tuned.model_steps // EVALUATIONS),
        "dropout": 0.0,
        **changes,
        "optimizer": {"learning_rate": rate, **changes.get("optimizer", {})},
    }
    return pt.model_tuning(task, **fields)


def designs(task: str, size: str, setting: str = "full") -> list[pt.Run]:
    """Prompts of words on the frozen model, zero- and few-shot; none is trained."""
    found = real.designed(TEXTS[task], TEMPLATES[setting])
    return [prompt(task, size, steps=0, prompt=config) for config in found]


def runs(setting: str = "pocket") -> list[pt.Run]:
    """Every size, length, method and seed on the suite; "full": more of each, and the ablations."""
    if setting not in SEEDS:
        raise UserError(f"the pocket study has the settings pocket and full, not {setting}")
    tasks = TASKS if setting == "pocket" else TASKS + MORE_TASKS
    found = []
    for size in reversed(SIZES):  # the longest first: workers end together
        for task in tasks:
            found += designs(task, size, setting)
            for seed in SEEDS[setting]:
                found += [prompt(task, size, seed, length=n) for n in LENGTHS[setting]]
                found.append(model(task, size, seed))
    if setting == "full":
        for seed in SEEDS[setting]:
            found += initialisations(seed) + adaptations(seed)
    return found


def initialisations(seed: int) -> list[pt.Run]:
    """Figure 3b: what the prompt starts from."""
    kinds = ("uniform", "vocabulary", "class_labels")
    return [
        prompt(task, size, seed, prompt={"init": kind})
        for size in SIZES
        for task in ABLATED
        for kind in kinds
    ]


def adaptations(seed: int) -> list[pt.Run]:
    """Figures 3c and 3d: span corruption alone (0 steps), less adaptation, full adaptation."""
    names = [f"{size}@{steps}" for size in ADAPTATION for steps in ADAPTATION[size]]
    names += list(ADAPTATION)
    return [prompt(task, name, seed) for name in names for task in ABLATED]
