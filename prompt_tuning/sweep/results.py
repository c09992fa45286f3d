"""The table of results: a row for each finished run, task, split and metric."""

import contextlib
import dataclasses
import json
import pathlib
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_file
from prompt_tuning.sweep.cells import recipe_of
from prompt_tuning.sweep.cost import parameters
from prompt_tuning.sweep.evaluations import ENSEMBLES, NEIGHBOURS, read_file, read_reading
from prompt_tuning.sweep.grid import method_of
from prompt_tuning.sweep.status import load_plans, measured_seconds, read_lines, read_result
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.mixture import MIXTURES
from prompt_tuning.training.member import Result, read_manifest
from prompt_tuning.training.run import Run

FILE = "results.parquet"

SCHEMA = pa.schema(
    [
        ("run", pa.string()),  # id: the name of its directory
        ("experiment", pa.string()),  # that asked for it; several with commas between; "" for none
        ("model", pa.string()),
        ("parameters", pa.int64()),  # of the frozen model
        ("trainable", pa.int64()),  # parameters that were tuned
        ("method", pa.string()),  # prompt, model, multitask, design or ensemble
        ("task", pa.string()),
        ("prompt_length", pa.int64()),  # virtual tokens; 0 without a prompt
        ("prompt_init", pa.string()),  # "" without a prompt
        ("position", pa.string()),
        ("seed", pa.int64()),
        ("learning_rate", pa.float64()),
        ("steps", pa.int64()),  # done
        ("best_step", pa.int64()),
        ("split", pa.string()),
        ("metric", pa.string()),  # "score" is the mean of those that the task selects by
        ("value", pa.float64()),  # per cent
        ("main", pa.bool_()),  # what the task selects by: one row of each run and task
        ("seconds", pa.float64()),  # of work on the run, as its share of its populations
        ("config", pa.string()),  # JSON
    ]
)


@dataclasses.dataclass(frozen=True)
class Collected:
    """The table, and what could not enter it."""

    table: pa.Table
    damaged: tuple[str, ...]  # one line for each result that is not sound


def collect(out: pathlib.Path) -> Collected:
    """The results of every finished run in a folder, and `results.parquet` with them.

    A damaged result is named and left out: the next sweep does its run again.
    """
    experiments: dict[str, list[str]] = defaultdict(list)
    for name, runs in load_plans(out).items():
        for run in runs:
            experiments[run.id].append(name)
    seconds = measured_seconds(out)
    rows: list[dict[str, Any]] = []
    damaged = []
    for path in sorted(out.glob("*/result.json")):
        directory = path.parent
        if (directory / "pretraining.json").exists():  # a pre-training's
            continue
        try:
            result = read_result(directory)
        except UserError as error:
            damaged.append(str(error))
            continue
        about = {
            "experiment": ",".join(experiments[directory.name]),
            "seconds": seconds.get(directory.name, _logged_seconds(directory)),
        }
        rows += result_rows(result, about)
        for file in sorted(directory.glob("elsewhere/*.json")):
            rows += _elsewhere_rows(file, rows[-1], damaged)
        reading = directory / NEIGHBOURS
        if reading.exists() and read_reading(reading) is None:
            _damaged(reading, damaged)
    of_run = {row["run"]: row for row in rows}
    for file in sorted((out / ENSEMBLES).glob("*.json")):
        rows += _ensemble_rows(file, of_run, damaged)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    _write(table, out / FILE, pyarrow.parquet.write_table)
    return Collected(table, tuple(damaged))


def _evaluation(file: pathlib.Path, damaged: list[str]) -> dict[str, Any]:
    """What an evaluation left; if it is not sound, it is named and done again by the next sweep."""
    values = read_file(file) or {}
    try:
        _with_main(values["metrics"], values["select"])
    except (KeyError, TypeError, ValueError):
        _damaged(file, damaged)
        return {}
    return values


def _damaged(file: pathlib.Path, damaged: list[str]) -> None:
    damaged.append(f"{file} is damaged: the next sweep does it again")
    with contextlib.suppress(OSError):  # read by somebody who may not write here
        file.unlink()


def _elsewhere_rows(
    file: pathlib.Path, of_run: dict[str, Any], damaged: list[str]
) -> list[dict[str, Any]]:
    """A run on another task than its own: its `config` names the one it was trained on."""
    values = _evaluation(file, damaged)
    if not values:
        return []
    metrics, main = _with_main(values["metrics"], values["select"])
    where = {"task": values["task"], "split": values["split"]}
    return [
        {**of_run, **where, "metric": metric, "value": value, "main": metric == main}
        for metric, value in metrics.items()
    ]


def _ensemble_rows(
    file: pathlib.Path, of_run: dict[str, dict[str, Any]], damaged: list[str]
) -> list[dict[str, Any]]:
    """The vote of several runs' prompts, method "ensemble"; none of its rows is `main`.

    `config` is that of the first, with the ids of all as `runs`.
    """
    values = _evaluation(file, damaged)
    if not values or any(name not in of_run for name in values["runs"]):
        return []
    members = [of_run[name] for name in values["runs"]]
    common = {
        **members[0],
        "run": file.stem,
        "method": "ensemble",
        "trainable": sum(member["trainable"] for member in members),
        "seconds": sum(member["seconds"] for member in members),
        "task": values["task"],
        "split": values["split"],
        "main": False,
        "config": _compact(json.loads(members[0]["config"]) | {"runs": values["runs"]}),
    }
    scores = {**values["metrics"], "score": values["score"]}
    return [{**common, "metric": metric, "value": value} for metric, value in scores.items()]


def _logged_seconds(directory: pathlib.Path) -> float:
    lines = read_lines(directory / "metrics.jsonl")
    return max((row.get("seconds", 0.0) for row in lines), default=0.0)


def result_rows(result: Result, about: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one run. A mixture gives those of each of its tasks and of their average."""
    run = result.run
    manifest = read_manifest(result.directory)
    size = manifest.get("model", {}).get("parameters") or parameters(run.model) or 0
    with_prompt = run.method == "prompt"
    common = {
        **about,
        "run": result.directory.name,
        "model": run.model,
        "parameters": size,
        "trainable": 0 if run.steps == 0 else manifest.get("trainable", 0),
        "method": method_of(run),
        "prompt_length": result.prompt.length if with_prompt else 0,
        "prompt_init": run.prompt.init if with_prompt else "",
        "position": run.prompt.position if with_prompt else "",
        "seed": run.seed,
        "learning_rate": run.optimizer.learning_rate,
        "steps": result.steps,
        "best_step": result.best_step,
        "split": run.dev_split,
        "config": _compact(run.to_dict()),
    }
    scored = _by_task(run, result)
    return [
        {**common, "task": task, "metric": metric, "value": value, "main": metric == main}
        for task, (metrics, main) in scored.items()
        for metric, value in metrics.items()
    ]


def _compact(config: dict[str, Any]) -> str:
    """JSON without spaces, in order: that of labels counts."""
    return json.dumps(config, separators=(",", ":"))


def _by_task(run: Run, result: Result) -> dict[str, tuple[dict[str, float], str]]:
    """For each task its metrics, and which of them it selects by."""
    if run.task not in MIXTURES:
        select = () if run.user_task else run.get_task().select  # the user's files may be gone
        return {run.task: _with_main(result.metrics, select)}
    scored = {run.task: ({"average": result.metrics["average"]}, "average")}
    for name in MIXTURES[run.task]:
        own = {
            key.removeprefix(f"{name} "): value
            for key, value in result.metrics.items()
            if key.startswith(f"{name} ")
        }
        if own:
            scored[name] = _with_main(own, get_task(name).select)
    return scored


def _with_main(metrics: dict[str, float], select: Sequence[str]) -> tuple[dict[str, float], str]:
    chosen = [name for name in select or metrics if name in metrics]
    if len(chosen) == 1:
        return metrics, chosen[0]
    mean = statistics.fmean(metrics[name] for name in chosen)
    return {**metrics, "score": mean}, "score"


def check_ending(path: pathlib.Path) -> None:
    """Raises UserError for a name that `export` cannot write."""
    if path.suffix not in (".csv", ".json", ".parquet"):
        raise UserError(f"{path}: the name must end in .csv, .json or .parquet")


def export(table: pa.Table, path: pathlib.Path) -> None:
    """Write the table as .csv, .json (a list of objects) or .parquet, by the file's ending."""
    check_ending(path)
    if path.suffix == ".json":
        write_file(path, (json.dumps(table.to_pylist(), indent=1) + "\n").encode())
    elif path.suffix == ".csv":
        _write(table, path, pyarrow.csv.write_csv)
    else:
        _write(table, path, pyarrow.parquet.write_table)


def _write(table: pa.Table, path: pathlib.Path, writer: Callable[..., None]) -> None:
    sink = pa.BufferOutputStream()
    writer(table, sink)
    write_file(path, sink.getvalue().to_pybytes())


def as_text(table: pa.Table) -> str:
    """Mean scores for reading: a line for each setting, a column for each task, seeds averaged.

    What all runs share is left out; a deviation is that over seeds. Of the configuration, those
    fields are shown by which runs of one line would differ otherwise.
    """
    rows = [row for row in table.to_pylist() if row["main"]]
    if not rows:
        return "no finished runs"
    settings = ["parameters", "model", "method", "prompt_length", "prompt_init", "position",
                "learning_rate"]  # fmt: skip
    varying = [name for name in settings if len({row[name] for row in rows}) > 1]
    alike: dict[tuple[Any, ...], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        config = json.loads(row["config"] or "{}")
        elsewhere = config.get("task", row["task"]) != row["task"]
        trained_on = config["task"] if elsewhere else ""
        row["recipe"] = _flat(recipe_of(config)) | {"trained on": trained_on}
        alike[tuple(row[name] for name in (*settings, "task"))].append(row["recipe"])
    names = {name for row in rows for name in row["recipe"]}
    finer = sorted(
        name for name in names
        if any(len({recipe.get(name) for recipe in group}) > 1 for group in alike.values())
    )  # fmt: skip
    for row in rows:
        row |= {name: row["recipe"].get(name, "") for name in finer}
    shown = [name for name in (*varying, *finer) if name != "parameters"] or ["model"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    cells: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: tuple(row[name] for name in (*settings, *finer))):
        cells[tuple(row[name] for name in shown)][row["task"]].append(row["value"])
    lines = [[*shown, *tasks]]
    for key, scores in cells.items():
        lines.append([*map(_short, key), *(mean_and_sd(scores.get(task, ())) for task in tasks)])
    return columns(lines, left=len(shown))


def _flat(config: Any, name: str = "") -> dict[str, str]:
    """The values of a recipe by dotted name."""
    if not isinstance(config, dict):
        return {name: str(config)}
    found: dict[str, str] = {}
    for key, value in config.items():
        found |= _flat(value, f"{name}.{key}".lstrip("."))
    return found


def _short(value: Any) -> str:
    """For reading."""
    return text if len(text := str(value)) <= 40 else f"{text:.39}…"


def mean_and_sd(values: Iterable[float]) -> str:
    """ "71.2 ±0.4", or "71.2" of a single value, or "-" of none."""
    values = list(values)
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ±{statistics.stdev(values):.1f}" if len(values) > 1 else mean


def columns(lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lines of words as aligned columns, the first `left` of them to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        words = [
            word.ljust(width) if n < left else word.rjust(width)
            for n, (word, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(words).rstrip())
    return "\n".join(text)
