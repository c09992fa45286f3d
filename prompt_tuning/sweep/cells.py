"""From the table of results to means over seeds: what may be averaged with what.

A score over several tasks is the mean over the tasks for each seed, then mean and standard
deviation over the seeds. A seed that lacks a task does not count, and a cell without a whole seed
has no mean.
"""

import dataclasses
import functools
import json
import math
import pathlib
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import paper_values

COLUMNS = (
    *("run", "experiment", "model", "parameters", "trainable", "method", "task", "prompt_length"),
    *("prompt_init", "position", "seed", "learning_rate", "steps", "best_step", "split", "metric"),
    *("value", "main", "seconds", "config"),
)
# What a configuration may differ in without being another setting of the same cell, and what of
# its parts: where data lie.
NOT_RECIPE = ("task", "seed", "model", "remat", "runs")
PLACES = {"data": "dir", "user_task": "files"}


def read_table(folder: pathlib.Path) -> pa.Table:
    """The results table of a folder. Raises UserError where there is none or it is not one."""
    path = folder / "results.parquet"
    if not path.is_file():
        raise UserError(f"{folder} has no results.parquet: name the results folder of a sweep")
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read; remove it and collect again: {error}") from error
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise UserError(f"{path} is no table of results: it has no column {', '.join(missing)}")
    if not table.num_rows:
        raise UserError(f"{path} has no rows: no run of the sweep is finished")
    return table


@dataclasses.dataclass(frozen=True)
class Result:
    """One score of one run, with the model's name taken apart."""

    run: str
    family: str  # models that may stand in one figure
    model: str  # the size, such as "base" or "xs"
    parameters: int
    adaptation: int | None  # steps of LM adaptation; None: the family's full adaptation
    method: str
    trained_on: str
    task: str
    prompt_length: int
    prompt_init: str
    position: str
    factored: bool
    sentinel: bool
    seed: int
    learning_rate: float
    recipe: str  # everything else that was set
    split: str
    dev_split: str
    metric: str
    main: bool
    value: float
    seconds: float = 0.0  # of work on the run
    members: tuple[str, ...] = ()  # the runs of an ensemble

    @property
    def size(self) -> str:
        """The model's size, and what else sets it apart within its family."""
        steps = "" if self.adaptation is None else f" ({self.adaptation:,} steps)"
        return self.model + steps + " + sentinel" * self.sentinel

    @property
    def objective(self) -> str:
        name = "span corruption" if self.adaptation == 0 else "LM adaptation"
        return name + " + sentinel" * self.sentinel


def read_results(table: pa.Table) -> list[Result]:
    """The rows of a results table."""
    return [_result(row) for row in table.to_pylist()]


def _result(row: dict[str, Any]) -> Result:
    config, recipe = _config(row["config"])
    family, model, adaptation = split_model(row["model"])
    return Result(
        run=row["run"],
        family=family,
        model=model,
        parameters=row["parameters"],
        adaptation=adaptation,
        method=row["method"],
        trained_on=config.get("task", row["task"]),
        task=row["task"],
        prompt_length=row["prompt_length"],
        prompt_init=row["prompt_init"],
        position=row["position"],
        factored=config.get("optimizer", {}).get("factored", True),
        sentinel=config.get("sentinel", False),
        seed=row["seed"],
        learning_rate=row["learning_rate"],
        recipe=recipe,
        split=row["split"],
        dev_split=config.get("dev_split", "validation"),
        metric=row["metric"],
        main=row["main"],
        value=math.nan if row["value"] is None else row["value"],
        seconds=row["seconds"] or 0.0,
        members=tuple(config.get("runs", ())),
    )


@functools.lru_cache(maxsize=4096)
def _config(text: str) -> tuple[dict[str, Any], str]:
    """A run's configuration and its recipe."""
    config = json.loads(text or "{}")
    return config, json.dumps(recipe_of(config), sort_keys=True)


def recipe_of(config: dict[str, Any]) -> dict[str, Any]:
    """What makes a configuration another setting of the same cell."""
    rest = {key: value for key, value in config.items() if key not in NOT_RECIPE}
    for part, place in PLACES.items():
        if isinstance(rest.get(part), dict):
            rest[part] = {key: value for key, value in rest[part].items() if key != place}
            if isinstance(labels := rest[part].get("labels"), dict):  # their order counts
                rest[part]["label_order"] = ", ".join(labels)
    return rest


T5, POCKET, OTHER = "T5 1.1", "pocket T5", "other models"


def split_model(name: str) -> tuple[str, str, int | None]:
    """Family, size and steps of LM adaptation: "pocket:xs@200" is ("pocket T5", "xs", 200).

    The Hub's T5 1.1 is T5 before adaptation (0 steps), and its "lm-adapt" and T5X's "lm100k" the
    fully adapted one (None). Other T5s (T5 1.0, Flan-T5, mT5) are none of the paper's models.
    """
    if name.startswith("pocket:"):
        size, _, steps = name.removeprefix("pocket:").partition("@")
        return POCKET, size, int(steps) if steps.isdigit() else None
    *parents, last_part = name.rstrip("/").split("/")
    if parents and re.fullmatch(r"model|step-\d+", last_part):  # as `pretrain` names them all
        return OTHER, f"{parents[-1]}/{last_part}", None
    last = last_part.lower().replace("_", "-").replace(".", "-")
    size = re.search(r"(?:^|-)(small|base|large|xl|xxl)(?:-|$)", last)
    if size and re.match(r"t5-(v?1-1-)?", last):
        steps = re.search(r"-lm-?(?:adapt|(\d+)k)", last)
        if steps and (steps[1] is None or int(steps[1]) == 100):
            return T5, size[1], None
        if steps or re.match(r"t5-v?1-1-", last):
            return T5, size[1], 1000 * int(steps[1]) if steps else 0
    # A hub id stays whole; of a folder, the last part says enough.
    return OTHER, name if name.count("/") == 1 and name[0].isalnum() else last_part, None


def dev(results: Iterable[Result]) -> list[Result]:
    """The scores by which runs are compared: their main metric on their dev split."""
    return [
        r
        for r in results
        if r.main
        and r.split == r.dev_split
        and (r.task == r.trained_on or (r.method == "multitask" and "/" in r.task))
        and not r.task.startswith("mixture/")
        and not math.isnan(r.value)
    ]


def suite(results: Sequence[Result]) -> tuple[str, ...]:
    """The tasks to average: those of the benchmark with most runs that prompts were trained on.

    Tasks whose runs were also evaluated on another task, the sources of transfer, are left out
    unless they have every method, size and prompt length that all others have.
    """
    trained = [r for r in dev(results) if r.method in ("prompt", "model")]
    away = {r.trained_on for r in results if r.task != r.trained_on and r.method != "multitask"}
    kept = [r for r in trained if r.task not in away] or trained
    if not kept:
        return ()
    benchmark, _ = Counter(r.task.rpartition("/")[0] for r in kept).most_common(1)[0]
    known: dict[str, set[tuple[str, str, int]]] = {}
    for r in trained:
        if r.task.rpartition("/")[0] == benchmark:
            known.setdefault(r.task, set()).add((r.method, r.model, r.prompt_length))
    others = [settings for task, settings in known.items() if task not in away]
    shared = set.intersection(*others) if others else set()
    return tuple(sorted(t for t, own in known.items() if t not in away or own >= shared))


@dataclasses.dataclass(frozen=True)
class Cell:
    """The score of one method and size."""

    scores: tuple[float, ...] = ()  # one a seed: its mean over the tasks
    missing: tuple[str, ...] = ()  # tasks that some seed lacks
    tried: int = 1  # settings among which the best was chosen on dev, at most, for a task

    @property
    def n(self) -> int:
        """Seeds that have all tasks."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores) if self.scores else math.nan

    @property
    def sd(self) -> float | None:
        """The sample standard deviation over the seeds; None for fewer than two."""
        return statistics.stdev(self.scores) if self.n > 1 else None

    def __str__(self) -> str:
        if not self.n:
            return f"incomplete ({len(self.missing)} tasks lacking)" if self.missing else "-"
        spread = "" if self.sd is None else f" ± {self.sd:.1f}"
        return f"{self.mean:.1f}{spread}"


def cell(results: Sequence[Result], tasks: Sequence[str]) -> Cell:
    """Average what was run on `tasks` under one method and size.

    Where a task was run under several settings, such as learning rates or hand-written texts, it
    counts by the one with the highest mean, of those with most seeds.
    """
    scores, tried = {}, 1
    for task in tasks:
        settings: dict[str, dict[int, float]] = {}
        for r in results:
            if r.task == task:
                settings.setdefault(r.recipe, {})[r.seed] = r.value
        tried = max(tried, len(settings))
        best = max(settings.values(), key=_rank, default={})
        scores[task] = best
    seeds = sorted(set().union(*scores.values()))
    whole = [seed for seed in seeds if all(seed in scores[task] for task in tasks)]
    missing = tuple(t for t in tasks if any(s not in scores[t] for s in seeds) or not scores[t])
    means = tuple(statistics.fmean(scores[task][seed] for task in tasks) for seed in whole)
    return Cell(means, missing if seeds else (), tried)


def best_recipe(results: Iterable[Result]) -> str | None:
    """The setting with the highest mean, of those with most seeds; None for no results."""
    settings: dict[str, dict[int, float]] = {}
    for r in results:
        settings.setdefault(r.recipe, {})[r.seed] = r.value
    return max(settings, key=lambda recipe: _rank(settings[recipe]), default=None)


def _rank(by_seed: dict[int, float]) -> tuple[int, float]:
    return len(by_seed), statistics.fmean(by_seed.values())


def by_size(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results of each model size, small to large."""
    found: dict[str, list[Result]] = {}
    for r in sorted(results, key=lambda r: r.parameters):
        found.setdefault(r.model, []).append(r)
    return found


def usual(results: Iterable[Result], name: Callable[[Result], Any]) -> Any:
    """The value that most runs have; None for none."""
    common = Counter(map(name, results)).most_common(1)
    return common[0][0] if common else None


def fixed_length(groups: Iterable[Iterable[Result]]) -> int | None:
    """The longest prompt up to the paper's 100 that every group has, else the most common one."""
    prompts = [[r.prompt_length for r in group if r.method == "prompt"] for group in groups]
    lengths = [set(group) for group in prompts if group]
    shared = set.intersection(*lengths) if lengths else set()
    if below := [length for length in shared if length <= 100]:
        return max(below)
    counts = Counter(length for group in prompts for length in group).most_common(1)
    return counts[0][0] if counts else None


def is_paper_suite(family: str, tasks: Sequence[str]) -> bool:
    """Whether scores may be compared with the paper's: its models, its eight tasks."""
    return family == T5 and set(tasks) == set(paper_values.SUITE)
