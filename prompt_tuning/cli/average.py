"""`prompt-tuning average`: the averages of SuperGLUE and GLUE over finished runs."""

import pathlib
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import tyro

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.scoring import GLUE, SUPERGLUE, glue_average, superglue_average
from prompt_tuning.tasks.sources.files import parse_object, read_text

Score = tuple[str, str, float, float]  # task, split, score, invalid
_BENCHMARKS: list[tuple[str, str, tuple[str, ...], Callable[[Mapping[str, float]], float]]] = [
    ("SuperGLUE", "super_glue/", SUPERGLUE, superglue_average),
    ("GLUE", "glue/", GLUE, glue_average),
]


def average(results: tyro.conf.Positional[tuple[pathlib.Path, ...]]) -> None:
    """Show the scores of several tasks and the benchmark's average over them.

    Several results of one task, such as those of several seeds, count by their mean.

    Args:
        results: directories of finished runs, folders of `evaluate --out`, or their files.
    """
    if not results:
        raise UserError("name directories of finished runs, or folders of evaluate --out")
    scores = [_read(path) for path in results]
    width = max(len("task"), *(len(task) for task, _, _, _ in scores))
    across = max(len("split"), *(len(split) for _, split, _, _ in scores))
    print(f"{'task':<{width}}  {'split':<{across}}   score  invalid")
    for task, split, score, invalid in sorted(scores):
        print(f"{task:<{width}}  {split:<{across}}  {score:6.2f}   {invalid:6.2f}")
    for benchmark, prefix, names, mean in _BENCHMARKS:
        found = _by_task([score for score in scores if score[0].startswith(prefix)])
        missing = [name for name in names if prefix + name not in found]
        if not missing:
            print(f"{benchmark} average  {mean(found):.2f}")
        elif found:
            print(f"{benchmark} average  -  (missing: {', '.join(missing)})")


def _by_task(scores: list[Score]) -> dict[str, float]:
    """The mean score of each task. "glue/mnli" is the mean of its two halves, where both are."""
    found: dict[str, list[float]] = {}
    for task, split, score, _ in scores:
        if task.startswith("glue/mnli"):
            half = "mismatched" if "mismatched" in task + split else "matched"
            task = f"glue/mnli_{half}"
        found.setdefault(task, []).append(score)
    means = {task: statistics.fmean(values) for task, values in found.items()}
    halves = [
        means[name] for name in ("glue/mnli_matched", "glue/mnli_mismatched") if name in means
    ]
    if len(halves) == 2:
        means["glue/mnli"] = statistics.fmean(halves)
    return means


def _read(path: pathlib.Path) -> Score:
    """The score in a result.json or scores.json, or in the directory that holds one."""
    for name in ("result.json", "scores.json"):
        if (path / name).is_file():
            path = path / name
            break
    if path.is_dir():
        raise UserError(f"{path} holds neither result.json (a finished run) nor scores.json")
    values: dict[str, Any] = parse_object(read_text(path), str(path))
    try:
        if "run" in values:
            run = values["run"]
            return run["task"], run["dev_split"], float(values["score"]), float(values["invalid"])
        data, scores = values["data"], values["scores"]
        if scores is None:
            raise UserError(f"{path} has no scores: the split {data['split']} has no labels")
        return data["task"], data["split"], float(scores["primary"]), float(scores["invalid"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no result of a run or of evaluate --out") from error
