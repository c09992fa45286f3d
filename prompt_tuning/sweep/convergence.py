"""Table 5 of a report: how long prompts train until they are within 1 % of where they end."""

import pathlib
import statistics
from collections.abc import Iterable

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.cells import T5, Result, dev
from prompt_tuning.sweep.figures import CONVERGENCE
from prompt_tuning.sweep.status import read_lines
from prompt_tuning.sweep.tables import Entry, Sheet, beside, spread

NEAR = 0.99  # of the mean over the runs of a setting


def convergence_sheets(results: Iterable[Result], runs: pathlib.Path | None) -> list[Sheet]:
    """Steps and minutes until a dev score of 99 % of the mean best score of a setting's seeds.

    Minutes are a run's share of the work of its populations, so they are those of a run alone only
    where it was alone. The paper's, for BoolQ on TPU v2 (small, base) and v3, stand beside those of
    T5 1.1. runs: the folder of the run directories, whose `metrics.jsonl` are read.
    """
    if runs is None:
        return []
    settings: dict[tuple[Entry, ...], list[tuple[Result, dict[int, float]]]] = {}
    for r in sorted(dev(results), key=lambda r: (r.parameters, r.task, r.prompt_length)):
        if r.method != "prompt" or r.adaptation is not None:
            continue
        lines = read_lines(runs / r.run / "metrics.jsonl")
        scores = {row["step"]: row["score"] for row in lines if row.get("kind") == "eval"}
        if len(scores) > 1:
            key = (r.family, r.model, r.task, r.prompt_length, r.prompt_init, r.recipe)
            settings.setdefault(key, []).append((r, scores))
    rows: list[tuple[Entry, ...]] = []
    for key, found in settings.items():
        target = NEAR * statistics.fmean(r.value for r, _ in found)
        steps, minutes = [], []
        for r, scores in found:
            at = min((step for step, score in scores.items() if score >= target), default=None)
            if at is not None:
                steps.append(at)
                minutes.append(r.seconds / 60 * at / max(scores))
        if not steps:
            continue
        family, size, task, length = key[:4]
        printed = None
        if (family, task) == (T5, "super_glue/boolq"):
            printed = paper_values.CONVERGENCE.get(int(length or 0), {}).get(str(size))
        paper = [None, None] if printed is None else [_minutes(word) for word in printed]
        ours = (statistics.fmean(steps), spread(steps), statistics.fmean(minutes), spread(minutes))
        rows.append((*key[:5], *ours, len(steps), len(found), *paper))
    header = (
        *("family", "size", "task", "prompt length", "initialisation"),
        *("steps", "steps: sd", "minutes", "minutes: sd", "seeds that get there", "seeds"),
        *("paper: minutes", "paper: sd"),
    )
    return [beside(CONVERGENCE.name, CONVERGENCE.title, header, rows)] if rows else []


def _minutes(clock: str) -> float:
    """Minutes of h:mm:ss or mm:ss."""
    return sum(float(part) * 60**n for n, part in enumerate(reversed(clock.split(":")))) / 60
