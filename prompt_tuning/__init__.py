"""Prompt tuning of frozen T5 models in JAX (Lester et al. 2021).

    import prompt_tuning as pt

    t5 = pt.load_t5("google/t5-base-lm-adapt")
    result = pt.train(pt.paper("super_glue/rte"), "runs")
    pt.predict(t5, {"rte": result.prompt}, [{"prompt": "rte", "input": "hypothesis: ..."}])

A name is loaded when it is first used, so importing the package imports nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from prompt_tuning.errors import UserError as UserError
    from prompt_tuning.evaluation.evaluate import Evaluation as Evaluation
    from prompt_tuning.evaluation.evaluate import evaluate as evaluate
    from prompt_tuning.evaluation.inference import forward as forward
    from prompt_tuning.evaluation.predict import predict as predict
    from prompt_tuning.prompts.init import PromptConfig as PromptConfig
    from prompt_tuning.prompts.init import init_prompt as init_prompt
    from prompt_tuning.prompts.neighbours import nearest as nearest
    from prompt_tuning.prompts.prompt import Prompt as Prompt
    from prompt_tuning.prompts.prompt import load_prompt as load_prompt
    from prompt_tuning.t5.config import SIZES as SIZES
    from prompt_tuning.t5.config import T5Config as T5Config
    from prompt_tuning.t5.load import FrozenT5 as FrozenT5
    from prompt_tuning.t5.load import load_t5 as load_t5
    from prompt_tuning.t5.load import save_t5 as save_t5
    from prompt_tuning.t5.model import count_params as count_params
    from prompt_tuning.tasks.catalog import get_task as get_task
    from prompt_tuning.tasks.catalog import task_names as task_names
    from prompt_tuning.tasks.scoring import glue_average as glue_average
    from prompt_tuning.tasks.scoring import superglue_average as superglue_average
    from prompt_tuning.tasks.sources import DataConfig as DataConfig
    from prompt_tuning.tasks.user import user_task as user_task
    from prompt_tuning.training.loop import train as train
    from prompt_tuning.training.member import Result as Result
    from prompt_tuning.training.member import load_result as load_result
    from prompt_tuning.training.optimizer import OptimizerConfig as OptimizerConfig
    from prompt_tuning.training.run import Run as Run
    from prompt_tuning.training.run import UserTask as UserTask
    from prompt_tuning.training.run import model_tuning as model_tuning
    from prompt_tuning.training.run import paper as paper
    from prompt_tuning.training.run import released as released
    from prompt_tuning.training.stop import Interrupted as Interrupted

# The same once more, for running programs: a test holds the two lists equal.
_HOMES = {
    "errors": ["UserError"],
    "evaluation.evaluate": ["Evaluation", "evaluate"],
    "evaluation.inference": ["forward"],
    "evaluation.predict": ["predict"],
    "prompts.init": ["PromptConfig", "init_prompt"],
    "prompts.neighbours": ["nearest"],
    "prompts.prompt": ["Prompt", "load_prompt"],
    "t5.config": ["SIZES", "T5Config"],
    "t5.load": ["FrozenT5", "load_t5", "save_t5"],
    "t5.model": ["count_params"],
    "tasks.catalog": ["get_task", "task_names"],
    "tasks.scoring": ["glue_average", "superglue_average"],
    "tasks.sources": ["DataConfig"],
    "tasks.user": ["user_task"],
    "training.loop": ["train"],
    "training.member": ["Result", "load_result"],
    "training.optimizer": ["OptimizerConfig"],
    "training.run": ["Run", "UserTask", "model_tuning", "paper", "released"],
    "training.stop": ["Interrupted"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
