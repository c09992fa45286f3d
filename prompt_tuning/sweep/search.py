"""Table 6 of a report: the hyper-parameters that were tried for one method, size and task."""

import json
from collections.abc import Iterable
from typing import Any

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.cells import Cell, Result, cell, dev
from prompt_tuning.sweep.figures import METHODS, SEARCH
from prompt_tuning.sweep.tables import Entry, Sheet, entries

_WHAT = ("method", "family", "size", "task", "prompt length", "initialisation")


def search_sheets(results: Iterable[Result]) -> list[Sheet]:
    """What was tried, what was best and the paper's choice; and every setting with its score.

    Only where one method, size, task, prompt length and initialisation was run under several of
    the paper's hyper-parameters. The best is that with the highest mean, of those with most seeds.
    """
    groups: dict[tuple[Entry, ...], dict[tuple[Any, ...], list[Result]]] = {}
    for r in sorted(dev(results), key=lambda r: (r.parameters, r.method, r.task, r.prompt_length)):
        if r.method != "design":
            method = METHODS.get(r.method, r.method)
            prompt = r.prompt_length or None, r.prompt_init or None
            what = (method, r.family, r.size, r.task, *prompt)
            groups.setdefault(what, {}).setdefault(_setting(r), []).append(r)
    summary: list[tuple[Entry, ...]] = []
    trials: list[tuple[Entry, ...]] = []
    for what, settings in groups.items():
        if len(settings) < 2:
            continue
        scored = {key: cell(rows, [rows[0].task]) for key, rows in settings.items()}
        ranked = sorted(scored.items(), key=lambda item: _rank(item[1]), reverse=True)
        for n, (name, (tried, chosen)) in enumerate(paper_values.SEARCH.items()):
            values = ", ".join(_shown(v) for v in sorted({key[n] for key in settings}))
            summary.append((*what, name, values, _shown(ranked[0][0][n]), tried, chosen))
        for key, scores in ranked:
            trials.append((*what, *map(_shown, key), *entries(scores)))
    if not trials:
        return []
    names = tuple(paper_values.SEARCH)
    return [
        Sheet(
            SEARCH.name,
            SEARCH.title,
            (*_WHAT, "hyper-parameter", "tried here", "best here", "paper: tried", "paper: choice"),
            tuple(summary),
        ),
        Sheet(
            f"{SEARCH.name}_trials",
            f"{SEARCH.title}: every setting, best first",
            (*_WHAT, *names, "ours (%)", "sd", "seeds"),
            tuple(trials),
        ),
    ]


def _setting(r: Result) -> tuple[Any, ...]:
    """The values of a run, in the order of `paper_values.SEARCH`."""
    run = json.loads(r.recipe)
    optimizer = run.get("optimizer", {})
    return (
        r.learning_rate,
        optimizer.get("scale_by_parameter", False),
        run.get("batch_size", 0),
        run.get("steps", 0),
        optimizer.get("warmup_steps", 0),
        optimizer.get("decay_factor", 1.0) if optimizer.get("decay_every", 0) else 0,
        optimizer.get("decay_every", 0),
    )


def _shown(value: float) -> str:
    """A hyper-parameter; 0 says that there is no warm-up or no decay."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _rank(scores: Cell) -> tuple[int, float]:
    return scores.n, scores.mean
