"""`prompt-tuning report`: the figures, tables and findings of a results folder."""

import dataclasses
import pathlib
from typing import Literal

import tyro

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.cells import dev, read_results, read_table
from prompt_tuning.sweep.figures import FIGURES
from prompt_tuning.sweep.grid import find_experiment, load_experiment
from prompt_tuning.sweep.report import write_report
from prompt_tuning.sweep.results import collect
from prompt_tuning.tasks.base import unknown


def report(
    folder: tyro.conf.Positional[pathlib.Path],
    out: pathlib.Path | None = None,
    length: int | Literal["fixed", "best"] = "fixed",
    tasks: tuple[str, ...] = (),
    experiment: str | None = None,
) -> int:
    """Draw the figures and write the tables of a results folder, as files and as one page.

    The exit status is 1 if a result is damaged: it is named and left out.

    Args:
        folder: results of a sweep.
        out: where the report goes; default: `report` in the results folder.
        length: of the prompts in figures that do not vary it. "fixed": the longest up to 100 that
            all models have; "best": for each model the best on dev.
        tasks: whose scores are averaged; default: those of the benchmark with most runs, but
            sources of transfer only if they have all the settings of the others.
        experiment: a file of experiments/, or its name, whose own FIGURE or FIGURES are drawn too.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name the results folder of a sweep")
    damaged: tuple[str, ...] = ()
    if any(folder.glob("*/result.json")):  # else a table alone, such as one of another machine
        damaged = collect(folder).damaged
    figures = [dataclasses.replace(figure, length=length, tasks=tasks) for figure in FIGURES]
    if experiment is not None:
        module = load_experiment(find_experiment(experiment))
        own = (*getattr(module, "FIGURES", ()), getattr(module, "FIGURE", None))
        figures += [figure for figure in own if figure is not None and figure not in FIGURES]
    table = read_table(folder)
    results = dev(read_results(table))
    known = {r.task for r in results}
    for task in tasks:
        if task not in known:
            raise unknown("task of these results", task, sorted(known))
    lengths = sorted({r.prompt_length for r in results if r.method == "prompt"})
    if isinstance(length, int) and length not in lengths:
        raise UserError(f"no prompt here has length {length}; there are {lengths or 'none'}")
    page = write_report(table, out or folder / "report", figures=figures, runs=folder)
    print((page.parent / "findings.md").read_text(encoding="utf-8"))
    for line in damaged:
        print(f"left out: {line}")
    print(f"report: {page}")
    return 1 if damaged else 0
