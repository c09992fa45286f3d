"""Experiment files, and the runs that are asked of them: filters, overrides, populations."""

import dataclasses
import importlib.util
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, Literal, get_args

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import check_length
from prompt_tuning.sweep.cost import parameters
from prompt_tuning.tasks.base import unknown
from prompt_tuning.tasks.mixture import MIXTURES
from prompt_tuning.training.kinds import check_kind, kinds_of
from prompt_tuning.training.loop import population_key
from prompt_tuning.training.run import Run

# The real models and data, their miniature, and more of the miniature.
Setting = Literal["paper", "pocket", "full"]

HERE = pathlib.Path(__file__).resolve().parent.parent.parent / "experiments"

# What a run of no steps depends on; overrides of other fields leave it as it is.
_EVALUATED = (
    *("model", "revision", "tokenizer", "dtype", "data", "dev_split", "dev_examples", "evaluation"),
    *("max_input_length", "max_target_length", "task", "user_task", "task_name_in_text"),
    "sentinel",
)


def method_of(run: Run) -> str:
    """As the results table has it: "prompt", "model", "multitask" (model tuning on a mixture) or
    "design" (a prompt, or the bare model, that is never trained).
    """
    if run.steps == 0:
        return "design"
    return "multitask" if run.method == "model" and run.task in MIXTURES else run.method


def find_experiment(name: str) -> pathlib.Path:
    """The file of an experiment: a path, or the name of one in `experiments/`."""
    places = [pathlib.Path(name), pathlib.Path("experiments") / f"{name}.py", HERE / f"{name}.py"]
    for path in places:
        if path.is_file():
            return path.resolve()
    here = [p.stem for p in HERE.glob("*.py") if "\ndef runs(" in p.read_text(encoding="utf-8")]
    raise unknown("experiment", name, here) if here else UserError(f"there is no file {name}")


def load_experiment(path: pathlib.Path) -> ModuleType:
    """An experiment file as a module; files beside it are importable as `experiments.NAME`.

    Raises UserError if it cannot be imported or has no `runs`.
    """
    root = str(path.parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, "runs", None)):
        raise UserError(f"{path} is no experiment: it has no function runs()")
    return module


def experiment_runs(path: pathlib.Path, setting: Setting | None = None) -> list[Run]:
    """The runs of a file in one of its settings (None: its own default), each once."""
    make = load_experiment(path).runs
    if setting is not None and setting not in get_args(Setting):
        raise unknown("setting", setting, get_args(Setting))
    try:
        found = list(make() if setting is None else make(setting))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: runs() fails: {type(error).__name__}: {error}") from error
    if others := [run for run in found if not isinstance(run, Run)]:
        raise UserError(f"{path}: runs() must give Runs, not {others[0]!r}")
    return distinct(found)


def experiment_evaluations(path: pathlib.Path, runs: Sequence[Run]) -> list[Any]:
    """What a file does with these runs once they are trained (`evaluations.Evaluation`)."""
    make = getattr(load_experiment(path), "evaluations", None)
    return [] if make is None else list(make(runs))


def distinct(runs: Iterable[Run]) -> list[Run]:
    """The runs in order, without repetition.

    Raises UserError for two that differ in nothing but where their data lie: they would have one
    directory.
    """
    found: dict[str, Run] = {}
    for run in runs:
        if found.setdefault(run.id, run) != run:
            raise UserError(
                f"two runs would both be {run.id}: they differ only in where their data lie; give "
                "each task a name of its own, or sweep them into separate folders"
            )
    return list(found.values())


def read_change(word: str) -> tuple[str, list[Any]]:
    """`name=value` or `name=[value,value]` as the dotted name of a field and its values.

    A value is JSON where it can be, else a string.
    """
    name, equals, text = word.partition("=")
    if not (name and equals):
        raise UserError(f"expected FIELD=VALUE or FIELD=[VALUE,VALUE], not {word!r}")
    values = _value(text)
    if isinstance(values, str) and text.startswith("[") and text.endswith("]"):
        values = [_value(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    values = values if isinstance(values, list) else [values]
    if not values:
        raise UserError(f"{word}: there is no value in the brackets")
    return name, values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def choose(runs: Sequence[Run], only: Sequence[str] = (), changes: Sequence[str] = ()) -> list[Run]:
    """The runs that match every filter, after every override; a list of values makes a grid.

    only: `field=value` or `field=[value,value]`, of the runs as they are after the overrides.
    `method` may be any of `method_of`; filters of `prompt.` match prompt-tuning runs only.
    changes: the same form. `prompt.` overrides leave model tuning alone, and a run of no steps
    takes only what its evaluation reads. Raises UserError for unknown fields, wrong kinds of
    values, and if nothing is left.
    """
    chosen = list(runs)
    for name, values in map(read_change, changes):
        chosen = [_changed(r, name, v) for r, v in itertools.product(chosen, values)]
    for word in only:
        name, values = read_change(word)
        kept = [run for run in chosen if _matches(run, name, values)]
        if not kept:
            known = list(dict.fromkeys(str(_value_of(run, name)) for run in chosen))
            listed = ", ".join(known[:12]) + ", ..." * (len(known) > 12)
            hint = "; overrides stand before --only" * (len(only) > 1)
            raise UserError(f"no run matches {word}: the runs have {listed}{hint}")
        chosen = kept
    return distinct(chosen)


def check(runs: Iterable[Run]) -> None:
    """Raises UserError for runs that no worker could do: unknown tasks, prompts of no rows."""
    for run in runs:
        run.get_task()
        if run.method == "prompt" and run.prompt.length is not None:
            check_length(run.prompt.length)
        elif run.method == "prompt" and run.prompt.init not in ("text", "file"):
            raise UserError(f"prompt.init={run.prompt.init} needs a prompt.length, not null")


def _field(run: Run, name: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The run as JSON values, and the mapping within it that holds the named field."""
    whole = run.to_dict()
    *path, last = name.split(".")
    inside: Any = whole
    for part in (*path, last):
        if not isinstance(inside, dict):
            raise UserError(f"{name}: {'.'.join(path)} has no fields in these runs")
        if part not in inside:
            raise unknown("field of a run", name, [".".join([*path, key]) for key in inside])
        holder, inside = inside, inside[part]
    return whole, holder, last


def _changed(run: Run, name: str, value: Any) -> Run:
    whole, holder, key = _field(run, name)
    if name.startswith("prompt") and run.method == "model":
        return run
    if run.steps == 0 and name.split(".")[0] not in _EVALUATED:
        return run
    check_kind(name, value, _kind(name), holder[key])
    holder[key] = value
    return Run.from_dict(whole)


def _kind(name: str) -> Any:
    """What a field of a run is declared with; anything, inside a mapping."""
    kind: Any = Run
    for part in name.split("."):
        classes = [c for c in (kind, *get_args(kind)) if dataclasses.is_dataclass(c)]
        if not classes:
            return Any
        kind = kinds_of(classes[0])[part]
    return kind


def _matches(run: Run, name: str, values: Sequence[Any]) -> bool:
    value = _value_of(run, name)
    return value in values and not (name.startswith("prompt.") and run.method != "prompt")


def _value_of(run: Run, name: str) -> Any:
    if name == "method":
        return method_of(run)
    _, holder, key = _field(run, name)
    return holder[key]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How many runs share a program; None: by the size of the model (`limit`)."""

    prompt: int | None = None  # of prompt tuning
    model: int | None = None  # of model tuning, where every run has weights of its own

    def limit(self, run: Run) -> int:
        """The largest population for a run."""
        given = self.prompt if run.method == "prompt" else self.model
        if given is not None:
            return max(1, given)
        size = parameters(run.model)
        if size is None:
            return 1
        if run.method == "model":
            return 4 if size < 2e7 else 1
        return 16 if size < 1e8 else 4 if size < 1e9 else 1


BY_MODEL = Sizes()
_SHORT = 128  # inputs up to here are padded to one another's length at little cost


def populations(runs: Sequence[Run], sizes: Sizes = BY_MODEL) -> list[tuple[Run, ...]]:
    """The runs in groups that train as one program; a pure function of the runs.

    Runs whose rows mix (`Run.mixes`) share one whatever their lengths. Others are padded to the
    longest of the population, so prompts of up to 31 rows share one, and longer ones those of the
    same power of two; tasks share one where inputs are short.
    """
    groups: dict[Any, list[Run]] = {}
    for run in distinct(runs):
        rows = (run.prompt.length or 0) if run.method == "prompt" else 0
        task = "" if run.max_input_length <= _SHORT else run.task
        alike = max(rows.bit_length(), 5), run.max_input_length, task
        key = (population_key(run), None if run.mixes else alike)
        groups.setdefault(key, []).append(run)
    split = []
    for group in groups.values():
        limit = sizes.limit(group[0])
        parts = -(-len(group) // limit)  # of equal size but for one: few compiled shapes
        size = -(-len(group) // parts)
        split += [tuple(group[n : n + size]) for n in range(0, len(group), size)]
    # Runs of one model follow each other, so that it is loaded once.
    order = {model: n for n, model in enumerate(dict.fromkeys(run.model for run in runs))}
    return sorted(split, key=lambda population: order[population[0].model])


def as_folder(path: str | os.PathLike[str]) -> pathlib.Path:
    """An existing folder. Raises UserError for anything else."""
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name the results folder of a sweep")
    return folder
