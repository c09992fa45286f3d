"""`prompt-tuning sweep`, `status` and `results`."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated

import tyro

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import results as table
from prompt_tuning.sweep.cost import SHARE, accelerator_hours, run_flops
from prompt_tuning.sweep.evaluations import done, is_sound
from prompt_tuning.sweep.grid import (
    Setting,
    Sizes,
    as_folder,
    check,
    choose,
    experiment_evaluations,
    experiment_runs,
    find_experiment,
    method_of,
    populations,
)
from prompt_tuning.sweep.run import WORKERS, Executor, Workers, sweep_runs
from prompt_tuning.sweep.status import (
    RunStatus,
    Survey,
    load_plans,
    planned_evaluations,
    planned_runs,
    seconds_left,
)
from prompt_tuning.sweep.trackers import Tracker
from prompt_tuning.sweep.watch import summary
from prompt_tuning.training.run import Run


@dataclasses.dataclass(frozen=True)
class Options:
    """What is run, and on what."""

    setting: Setting | None = None  # real models, or their miniature; None: the file's default
    out: pathlib.Path | None = None  # the results folder; None: results/EXPERIMENT-SETTING
    only: tuple[str, ...] = ()  # filters: FIELD=VALUE or FIELD=[VALUE,VALUE], such as method=model
    dry_run: bool = False  # show the grid, its cost and what is done; run nothing
    executor: Executor = "local"  # the others are extras of the package
    retry_failed: bool = False  # try runs again that have failed
    population: int | None = None  # prompt-tuning runs in one program; None: by the model's size
    model_population: int | None = None  # model-tuning runs in one program
    tracker: Tracker | None = None  # also send the metrics there; an extra of the package
    quiet: bool = False  # show no progress


_OPTIONS = Options()


def sweep(
    experiment: tyro.conf.Positional[str],
    changes: tyro.conf.Positional[tuple[str, ...]] = (),
    options: Annotated[Options, tyro.conf.arg(name="")] = _OPTIONS,
    workers: Annotated[Workers, tyro.conf.arg(name="")] = WORKERS,
) -> int:
    """Run an experiment: finished runs are skipped, interrupted ones go on where they were.

    Any number of these commands may work on one results folder at once. The exit status is 1 if
    runs have failed.

    Args:
        experiment: a file of experiments/, or its name.
        changes: overrides of fields, such as prompt.length=[1,5,20]; a list makes a grid.
        options: what is run.
        workers: on what.
    """
    path = find_experiment(experiment)
    every = experiment_runs(path, options.setting)
    if not every:
        raise UserError(f"{path.stem} has nothing to run: what it computes is in every report")
    runs = choose(every, options.only, changes)
    check(runs)
    out = options.out or pathlib.Path("results") / "-".join(
        filter(None, (path.stem, options.setting))
    )
    if out.exists():
        as_folder(out)
    sizes = Sizes(options.population, options.model_population)
    evaluations = experiment_evaluations(path, runs)
    if options.dry_run:
        print(describe(runs, out, sizes))
        if evaluations:
            print(f"Then {len(evaluations)} evaluations of tuned prompts, "
                  f"{sum(done(e, out) for e in evaluations)} of them done.")  # fmt: skip
        return 0
    found = sweep_runs(
        runs,
        out,
        evaluations,
        experiment=path.stem,
        executor=options.executor,
        sizes=sizes,
        workers=workers,
        retry_failed=options.retry_failed,
        quiet=options.quiet,
        tracker=options.tracker,
    )
    collected = table.collect(out)
    print(table.as_text(collected.table))
    print(f"{summary(out, found)}. Table: {out / table.FILE}")
    return _report(found, [] if workers.detach else [e.file(out) for e in evaluations])


def status(directory: tyro.conf.Positional[pathlib.Path]) -> int:
    """How far a sweep is: done, running, failed, left, and about how long the rest takes.

    The exit status is 1 if runs have failed.

    Args:
        directory: the results folder of a sweep.
    """
    out = as_folder(directory)
    found = Survey(out, planned_runs(out)).look()
    states = ("done", "running", "failed", "begun", "left")
    known = {s.run.id: _plain(s.state) for s in found}
    lines = [["experiment", *states]]
    for name, runs in load_plans(out).items():  # which may share runs
        tally = collections.Counter(known[run.id] for run in runs)
        lines.append([name, *(str(tally[state]) for state in states)])
    print(table.columns(lines))
    for one in found:
        if one.state == "running":
            print(f"running: {one.run.id} ({one.share:.0%})")
    print(summary(out, found))
    if files := planned_evaluations(out):
        print(f"{sum(map(is_sound, files))} of {len(files)} evaluations of tuned prompts are done")
    return _report(found)


def results(
    directory: tyro.conf.Positional[pathlib.Path], export: pathlib.Path | None = None
) -> int:
    """Collect the results of a folder into results.parquet and show them, averaged over seeds.

    The exit status is 1 if a result is damaged: it is left out, and the next sweep does it again.

    Args:
        directory: the results folder of a sweep, or any folder of runs.
        export: also write the table to this file: .csv, .json or .parquet.
    """
    out = as_folder(directory)
    if not load_plans(out) and not any(out.glob("*/result.json")):
        raise UserError(f"{out} holds neither a sweep nor finished runs: name a results folder")
    if export is not None:
        table.check_ending(export)
    collected = table.collect(out)
    print(table.as_text(collected.table))
    if export is not None:
        table.export(collected.table, export)
    for line in collected.damaged:
        print(f"damaged: {line}")
    rows = collected.table.select(["run", "method"]).to_pylist()
    runs = {row["run"] for row in rows if row["method"] != "ensemble"}
    print(f"{len(runs)} runs in {export or out / table.FILE}")
    return 1 if collected.damaged else 0


def _plain(state: str) -> str:
    return "left" if state == "damaged" else state


def _report(found: list[RunStatus], files: Sequence[pathlib.Path] = ()) -> int:
    """Name what failed. files: what evaluations should have left, now that the sweep is over."""
    for one in found:
        if one.state in ("failed", "damaged"):
            print(f"{one.state}: {one.run.id}: {one.reason}")
    failed = any(one.state == "failed" for one in found)
    if failed:
        print("sweep again with --retry-failed to try failed runs once more")
    missing = [file for file in files if not is_sound(file)]
    if missing and not failed:
        print(f"{len(missing)} of {len(files)} evaluations are not done: {missing[0]} ...")
    return 1 if failed or missing else 0


def describe(runs: list[Run], out: pathlib.Path, sizes: Sizes) -> str:
    """The grid, what it costs and what is done."""
    states = {s.run.id: s for s in Survey(out, runs).look()}
    grouped: dict[tuple[str, ...], list[Run]] = collections.defaultdict(list)
    for run in runs:
        length = str(run.prompt.length or run.prompt.init) if run.method == "prompt" else "-"
        key = (run.model, method_of(run), length, str(run.steps), str(run.optimizer.learning_rate))
        grouped[key].append(run)
    lines = [["model", "method", "length", "steps", "rate", "tasks", "seeds", "runs", "done",
              "failed", "FLOPs"]]  # fmt: skip
    for key, group in grouped.items():
        flops = [run_flops(run) for run in group]
        known = [value for value in flops if value is not None]
        tally = collections.Counter(states[run.id].state for run in group)
        lines.append([
            *key,
            *(str(len({getattr(run, name) for run in group})) for name in ("task", "seed")),
            *(str(n) for n in (len(group), tally["done"], tally["failed"])),
            f"{sum(known):.1e}" if len(known) == len(flops) else "?",
        ])  # fmt: skip
    programs = populations(runs, sizes)
    estimate = seconds_left(out, states.values())
    text = [
        table.columns(lines, left=3),
        f"{len(runs)} runs in {len(programs)} populations; tasks: "
        + ", ".join(dict.fromkeys(run.task for run in runs)),
        f"{summary(out, list(states.values()))}. Results folder: {out}",
    ]
    flops = [run_flops(run) for run in runs]
    if None not in flops:
        total = sum(value for value in flops if value is not None)
        hours = accelerator_hours(total)
        at_most = f"Training: at most {total:.1e} FLOPs (inputs at their limit)"
        text.append(at_most + (
            f", some {hours:,.0f} hours of one H100 at {SHARE:.0%} of its peak." if hours >= 1
            else "."
        ))  # fmt: skip
    if estimate is None:
        text.append("The time here is not known before the first run is done.")
    return "\n".join(text)
