"""Tables of a report on what was done with tuned prompts: votes (Table 3), readings (section 7)."""

import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.cells import T5, Result, dev, is_paper_suite
from prompt_tuning.sweep.evaluations import METRICS, NEIGHBOURS, read_reading
from prompt_tuning.sweep.figures import ENSEMBLE, READING
from prompt_tuning.sweep.tables import Entry, Sheet, beside, spread

GROUPS = 5  # rows of `section7_pieces` for each prompt


def ensemble_sheets(results: Sequence[Result]) -> list[Sheet]:
    """Table 3: of each metric the average of the prompts, that of the best prompt, and the vote's.

    The paper's values stand beside those of T5 1.1 XXL in the default setting. Means over tasks are
    of the scores that the tasks select by, for ensembles of one size, length and initialisation.
    """
    of_run: dict[tuple[str, str], dict[str, float]] = {}
    for r in results:
        if r.task == r.trained_on and r.split == r.dev_split and r.method != "ensemble":
            of_run.setdefault((r.run, r.task), {})[r.metric] = r.value
    main = {(r.run, r.task): r.value for r in dev(results)}
    votes = [r for r in results if r.method == "ensemble"]
    rows: list[tuple[Entry, ...]] = []
    means: dict[tuple[Any, ...], list[tuple[str, tuple[float, float, float]]]] = {}
    for r in sorted(votes, key=lambda r: (r.parameters, r.prompt_length, r.task, r.metric)):
        members = [name for name in r.members if (name, r.task) in main]
        if not members or len(members) < len(r.members):
            continue
        best = max(members, key=lambda name: main[name, r.task])
        key = (r.family, r.size, r.prompt_length, r.prompt_init)
        scores = [of_run[name, r.task].get(r.metric, main[name, r.task]) for name in members]
        ours = (statistics.fmean(scores), scores[members.index(best)], r.value)
        if r.metric == "score":
            means.setdefault((*key, len(members)), []).append((r.task, ours))
            if len(of_run[best, r.task]) < 2:  # the metric itself is there too
                continue
        default = key == (T5, "xxl", 100, "class_labels")
        paper = paper_values.ENSEMBLE.get(r.task, {}).get(r.metric) if default else None
        rows.append((r.task, r.metric, *key, len(members), *_compared(ours, spread(scores), paper)))
    for key, found in means.items():
        tasks = [task for task, _ in found]
        if len(tasks) < 2 or len(set(tasks)) < len(tasks):
            continue
        columns = zip(*(ours for _, ours in found), strict=True)
        ours = tuple(statistics.fmean(column) for column in columns)
        theirs = is_paper_suite(key[0], tasks) and key[1:4] == ("xxl", 100, "class_labels")
        paper = paper_values.ENSEMBLE_MEAN if theirs else None
        what = (f"mean of {len(tasks)} tasks", "score", *key)
        rows.append((*what, *_compared(ours, None, paper)))
    header = (
        *("task", "metric", "family", "size", "prompt length", "initialisation", "prompts"),
        *("average (%)", "sd", "best (%)", "ensemble (%)"),
        *("paper: average", "paper: best", "paper: ensemble"),
        *("difference: average", "difference: best", "difference: ensemble"),
    )
    return [beside(ENSEMBLE.name, ENSEMBLE.title, header, rows)] if rows else []


def _compared(
    ours: Sequence[float], sd: float | None, paper: Sequence[float] | None
) -> tuple[Entry, ...]:
    average, best, vote = ours
    if paper is None:
        return (average, sd, best, vote, *(None,) * 6)
    return (average, sd, best, vote, *paper, *(a - b for a, b in zip(ours, paper, strict=True)))


def reading_sheets(results: Iterable[Result], runs: pathlib.Path | None) -> list[Sheet]:
    """Section 7: means over the prompts of each setting, and the pieces that most rows are near to.

    runs: the folder of the run directories, whose `neighbours.json` are read; a damaged one counts
    as none.
    """
    if runs is None:
        return []
    groups: dict[tuple[Entry, ...], list[dict[str, Any]]] = {}
    pieces: list[tuple[Entry, ...]] = []
    known = {r.run: r for r in dev(results)}
    for r in sorted(known.values(), key=lambda r: (r.parameters, r.task, r.prompt_init, r.seed)):
        reading = read_reading(runs / r.run / NEIGHBOURS)
        if reading is None:
            continue
        what = (r.family, r.size, r.task, r.prompt_length, r.prompt_init)
        for metric in METRICS:
            groups.setdefault((*what, metric, r.recipe), []).append(reading[metric])
        pieces += [(*what, r.seed, *row) for row in _common(reading["cosine"]["pieces"])]
    rows = []
    for key, found in groups.items():
        labelled = key[4] == "class_labels"
        columns = zip(*(_measures(reading, labelled) for reading in found), strict=True)
        rows.append((*key[:-1], *map(_mean, columns), len(found)))
    header = ("family", "size", "task", "prompt length", "initialisation")
    measures = (
        *("measure", "likeness of neighbours (cosine × 100)", "of those of random vectors"),
        *("rows that share their nearest (%)", "label pieces among neighbours (%)"),
        *("labels near the row they started (%)", "prompts"),
    )
    title = f"{READING.title}: the five nearest by cosine of the first row"
    near = ("seed", "nearest piece", "rows", "neighbours of the first of these rows")
    return (
        [
            Sheet(READING.name, READING.title, (*header, *measures), tuple(rows)),
            Sheet(f"{READING.name}_pieces", title, (*header, *near), tuple(pieces)),
        ]
        if rows
        else []
    )


def _measures(reading: dict[str, Any], labelled: bool) -> tuple[float | None, ...]:
    """Per cent; None where it has no meaning. labelled: the first rows started from the labels."""
    rows = len(reading["pieces"])
    alike = (reading["tightness"], reading["tightness_of_random"])
    shared = 100 * sum(len(c["rows"]) for c in reading["clusters"]) / rows
    order = list(dict.fromkeys(piece["label"] for piece in reading["labels"]))[:rows]
    kept = {
        piece["label"]
        for piece in reading["labels"]
        if piece["label"] in order and order.index(piece["label"]) in piece["rows"]
    }
    stayed = 100 * len(kept) / len(order) if order and labelled else None
    return (*(None if x is None else 100 * x for x in alike), shared, reading["persisted"], stayed)


def _common(pieces: Sequence[Sequence[str]]) -> list[tuple[str, int, str]]:
    """The nearest pieces that most rows have, how many, and the neighbours of the first of them."""
    rows_of: dict[str, list[int]] = {}
    for row, near in enumerate(pieces):
        rows_of.setdefault(near[0], []).append(row)
    found = sorted(rows_of.items(), key=lambda item: (-len(item[1]), item[1]))[:GROUPS]
    return [
        (_word(piece), len(rows), ", ".join(map(_word, pieces[rows[0]]))) for piece, rows in found
    ]


def _word(piece: str) -> str:
    return piece.replace("▁", " ").strip() or "(space)"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
