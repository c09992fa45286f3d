"""What a results folder says of its runs: done, running, failed, left; and how long the rest takes.

The state of a sweep is its run directories and nothing else, so any number of processes, on any
executor, may work on one folder and be asked about at any time.
"""

import collections
import dataclasses
import fcntl
import json
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_json
from prompt_tuning.sweep.cost import run_flops
from prompt_tuning.sweep.grid import method_of
from prompt_tuning.training.member import Result, load_result, read_manifest
from prompt_tuning.training.records import append_jsonl, plain_disk_errors
from prompt_tuning.training.run import Run

FAILED = "failed.json"  # in the directory of a run that failed: the reason; see also population.py
LOG = "sweep.jsonl"  # in the results folder: a line for each time that a population was worked on
PLANS = "plans"  # folder: what each experiment asked for

State = Literal["done", "damaged", "failed", "running", "begun", "left"]


def read_result(directory: pathlib.Path) -> Result:
    """The result in a run's directory, checked against the run's other records.

    Raises UserError if there is none, or if it is not what the run has logged.
    """
    result = load_result(directory)
    read_manifest(directory)
    wrong = f"{directory}/result.json is damaged: "
    if result.run.id != directory.name:
        raise UserError(f"{wrong}it is of the run {result.run.id}")
    numbers = [result.score, result.invalid, *result.metrics.values()]
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
        raise UserError(f"{wrong}it has scores that are no numbers")
    logged = [
        {name: row.get(name) for name in ("score", "invalid", *result.metrics)}
        for row in read_lines(directory / "metrics.jsonl")
        if row.get("kind") == "eval" and row.get("step") == result.best_step
    ]
    found = {"score": result.score, "invalid": result.invalid, **result.metrics}
    if found not in logged:
        raise UserError(f"{wrong}its scores are not those in metrics.jsonl")
    if result.run.method == "prompt":
        try:
            step = result.prompt.metadata.get("step")
        except UserError as error:
            raise UserError(f"{directory} is damaged: {error}") from error
        if step != str(result.best_step):  # a kill, where a second try does not give the same
            raise UserError(
                f"{directory} is damaged: its best prompt is of step {step}, not {result.best_step}"
            )
    return result


def is_done(directory: pathlib.Path) -> bool:
    """Whether a run has a sound result."""
    try:
        read_result(directory)
    except UserError:
        return False
    return True


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The sound lines of a JSONL file; none if there is no file."""
    rows = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # a kill may cut the last line
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def failure(directory: pathlib.Path) -> dict[str, Any] | None:
    """Why a run failed; None if it did not."""
    try:
        return json.loads((directory / FAILED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {"reason": f"unknown: {FAILED} is damaged"}


def holder(directory: pathlib.Path) -> int | None:
    """The process that works on a run, if any does (0 if it does not say)."""
    try:
        file = os.open(directory / ".lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return last_holder(directory) or 0
    finally:
        os.close(file)


def last_holder(directory: pathlib.Path) -> int | None:
    """The process that works, or last worked, on a run."""
    try:
        text = (directory / ".lock").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    number = re.fullmatch(r"process (\d+)", text)
    return int(number[1]) if number else None


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """One run of a sweep."""

    run: Run
    state: State
    reason: str = ""  # of a failed or damaged one
    share: float = 0.0  # of its steps that are done
    worker: int | None = None


class Survey:
    """Looks at the same runs again and again; what is done is not read twice."""

    def __init__(self, out: pathlib.Path, runs: Sequence[Run]):
        self.out, self.runs = out, list(runs)
        self._done: dict[str, tuple[int, RunStatus]] = {}

    def look(self) -> list[RunStatus]:
        """The state of every run, in order."""
        return [self._one(run) for run in self.runs]

    def _one(self, run: Run) -> RunStatus:
        directory = self.out / run.id
        try:
            written = (directory / "result.json").stat().st_mtime_ns
        except OSError:
            written = 0
        known = self._done.get(run.id)
        if known is not None and known[0] == written:
            return known[1]
        worker = holder(directory)
        if written:
            try:
                read_result(directory)
            except UserError as error:
                return RunStatus(run, "damaged", str(error))
            done = RunStatus(run, "done", share=1.0)
            self._done[run.id] = written, done
            return done
        share = _share(run, directory)
        why = failure(directory)
        if why is not None:
            return RunStatus(run, "failed", str(why.get("reason")), share)
        if worker is not None:
            return RunStatus(run, "running", share=share, worker=worker)
        return RunStatus(run, "begun" if share else "left", share=share)


def _share(run: Run, directory: pathlib.Path) -> float:
    """The share of a run's steps that its log has reached."""
    try:
        with open(directory / "metrics.jsonl", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return 0.0
    steps = [int(n) for line in lines for n in re.findall(r'^\{"step": (\d+)', line)]
    return min(1.0, max(steps, default=0) / max(run.steps, 1))


def log_work(out: pathlib.Path, population: Sequence[Run], seconds: float) -> None:
    """Note how long a population was worked on."""
    with plain_disk_errors(out):
        append_jsonl(out / LOG, {"runs": [run.id for run in population], "seconds": seconds})


def measured_seconds(out: pathlib.Path) -> dict[str, float]:
    """Of every run worked on here, its share of the time its populations took."""
    seconds: dict[str, float] = collections.defaultdict(float)
    for row in read_lines(out / LOG):
        for name in row.get("runs", ()):
            seconds[name] += row["seconds"] / len(row["runs"])
    return dict(seconds)


def seconds_left(out: pathlib.Path, found: Iterable[RunStatus]) -> tuple[float, float] | None:
    """Seconds of work of one worker that are (left, done), from runs finished here.

    Unfinished runs are scaled by their floating-point operations from runs of the same model and
    method where there are any, else read off a line through all: small models cost time that no
    operation needs. None before the first run is done.
    """
    found = list(found)
    measured = measured_seconds(out)
    rates: dict[Any, list[tuple[float, float]]] = collections.defaultdict(list)
    for status in found:
        if status.state == "done" and status.run.id in measured:
            pair = measured[status.run.id], run_flops(status.run) or 1.0
            for key in ((status.run.model, method_of(status.run)), None):
                rates[key].append(pair)
    if not rates:
        return None
    left = done = 0.0
    for status in found:
        flops = run_flops(status.run) or 1.0
        if known := rates.get((status.run.model, method_of(status.run))):
            seconds = flops * _rate(known)
        else:
            seconds = _on_line(rates[None], flops)
        if status.state == "done":
            done += measured.get(status.run.id, seconds)
        elif status.state != "failed":
            left += seconds * (1.0 - status.share)
    return left, done


def _rate(known: Sequence[tuple[float, float]]) -> float:
    return sum(s for s, _ in known) / sum(f for _, f in known)


def _on_line(known: Sequence[tuple[float, float]], flops: float) -> float:
    """Seconds by the least-squares line through (flops, seconds); by the ratio if it falls."""
    seconds, size = np.array(known).T
    spread = size - size.mean()
    slope = float(spread @ seconds / (spread @ spread)) if spread.any() else 0.0
    start = float(seconds.mean() - slope * size.mean())
    return start + slope * flops if slope > 0 and start >= 0 else flops * _rate(known)


def counts(found: Iterable[RunStatus]) -> Mapping[str, int]:
    """How many runs are done, running, failed and left (begun and damaged ones included)."""
    tally = collections.Counter(status.state for status in found)
    left = tally["left"] + tally["begun"] + tally["damaged"]
    return {
        "done": tally["done"], "running": tally["running"], "failed": tally["failed"], "left": left
    }  # fmt: skip


def save_plan(
    out: pathlib.Path, experiment: str, runs: Sequence[Run], evaluations: Sequence[str] = ()
) -> None:
    """Note what an experiment wants, for `status` and `results`.

    What it wanted before is forgotten, unless another process works on some of it: then both count.
    evaluations: the files that they will leave, relative to the results folder.
    """
    before = _read_plan(out / PLANS / f"{experiment}.json")
    if before and any(holder(out / run.id) is not None for run in before[1]):
        runs = _latest([*before[1], *runs])
        evaluations = list(dict.fromkeys([*before[2], *evaluations]))
    plan = {
        "experiment": experiment,
        "runs": [run.to_dict() for run in runs],
        "evaluations": list(evaluations),
    }
    write_json(out / PLANS / f"{experiment}.json", plan)


def _latest(runs: Iterable[Run]) -> list[Run]:
    """Each run once, as it was asked for last: its data may have been moved since."""
    return list({run.id: run for run in runs}.values())


def _read_plan(path: pathlib.Path) -> tuple[str, list[Run], list[str]] | None:
    """An experiment with its runs and evaluations; None if there is no plan or no sound one."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        runs = [Run.from_dict(values) for values in plan["runs"]]
        return plan["experiment"], runs, plan.get("evaluations", [])
    except (OSError, ValueError, KeyError, TypeError):  # UserError is a ValueError
        return None


def _plans(out: pathlib.Path) -> list[tuple[str, list[Run], list[str]]]:
    plans = []
    for path in sorted((out / PLANS).glob("*.json")):
        plan = _read_plan(path)
        if plan is None:
            raise UserError(f"{path} is damaged: run the sweep again, or remove it")
        plans.append(plan)
    return plans


def load_plans(out: pathlib.Path) -> dict[str, list[Run]]:
    """The runs of every experiment that was swept into this folder."""
    return {experiment: runs for experiment, runs, _ in _plans(out)}


def planned_evaluations(out: pathlib.Path) -> list[pathlib.Path]:
    """The files that the evaluations of all experiments leave."""
    return list(dict.fromkeys(out / name for _, _, names in _plans(out) for name in names))


def planned_runs(out: pathlib.Path) -> list[Run]:
    """All runs wanted here. Raises UserError for a folder that is not of a sweep."""
    runs = _latest(run for plan in load_plans(out).values() for run in plan)
    if not runs:
        raise UserError(f"{out} holds no sweep (no {PLANS}/*.json): name its results folder")
    return runs
