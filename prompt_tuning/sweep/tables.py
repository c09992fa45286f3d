"""The tables of a report: ours, the paper's, the difference and the seeds; Markdown, LaTeX, CSV."""

import csv
import dataclasses
import io
import statistics
from collections.abc import Iterable, Iterator, Sequence

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.cells import T5, Cell, Result, best_recipe, by_size, cell, dev
from prompt_tuning.sweep.counts import counts, model_tuning, prompt_tuning
from prompt_tuning.sweep.figures import COUNTS, DOMAIN_SHIFT, FACTORING, METHODS, TRANSFER, Figure
from prompt_tuning.sweep.lines import Plot, plots
from prompt_tuning.t5.config import SIZES

Entry = str | int | float | None


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A table: floats are shown with one decimal, None as a dash."""

    name: str  # of its files
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


def text(entry: Entry) -> str:
    """How an entry is shown."""
    if entry is None:
        return "–"
    if isinstance(entry, float):
        return f"{entry:.1f}"
    return f"{entry:,}" if isinstance(entry, int) else entry


def markdown(sheet: Sheet) -> str:
    """A Markdown table under its title; numbers to the right."""
    rule = ["---:" if numeric(sheet, n) else "---" for n in range(len(sheet.header))]
    shown = [sheet.header, *([text(entry) for entry in row] for row in sheet.rows)]
    lines = [[word.replace("|", "\\|") for word in line] for line in shown]
    lines.insert(1, rule)
    return f"{sheet.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(sheet: Sheet) -> str:
    """A table for the package booktabs."""
    columns = "".join("r" if numeric(sheet, n) else "l" for n in range(len(sheet.header)))
    lines = [[_escape(text(entry)) for entry in row] for row in sheet.rows]
    body = "".join(f"    {' & '.join(line)} \\\\\n" for line in lines)
    header = " & ".join(_escape(name) for name in sheet.header)
    return (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n"
        f"  \\caption{{{_escape(sheet.title)}}}\n  \\label{{tab:{sheet.name}}}\n"
        f"  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n    {header} \\\\\n    \\midrule\n"
        f"{body}    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n"
    )


def as_csv(sheet: Sheet) -> str:
    """Comma-separated values with all digits; unknown is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(sheet.header)
    writer.writerows(["" if e is None else e for e in row] for row in sheet.rows)
    return out.getvalue()


def numeric(sheet: Sheet, column: int) -> bool:
    """Whether a column holds numbers only."""
    found = [row[column] for row in sheet.rows if row[column] is not None]
    return bool(found) and not any(isinstance(entry, str) for entry in found)


_ESCAPES = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "±": "$\\pm$",
    "×": "$\\times$",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
}


def _escape(entry: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in entry)


def plot_sheet(plot: Plot) -> Sheet:
    """The numbers of a figure; the paper's beside ours only where they may be compared."""
    theirs = {
        (line.label, x): value
        for line in plot.paper
        for x, _, value in line.points
        if plot.comparable
    }
    along = [] if plot.figure.x == "prompt_length" else [plot.figure.x]
    header = ["series", "size", *along, "prompt length", "ours (%)", "sd", "seeds"]
    header += ["paper (%)", "paper sd", "difference"] * plot.comparable + ["incomplete"]
    rows: list[tuple[Entry, ...]] = []
    for line in plot.lines:
        for p in line.points:
            x = [int(p.x)] if along else []
            row: list[Entry] = [line.label, p.model, *x, p.length, *entries(p.cell)]
            if plot.comparable:
                value = theirs.get((line.label, p.x))
                row += _against(p.cell, value)
            rows.append((*row, ", ".join(p.cell.missing) or None))
    return Sheet(plot.name, plot.figure.title, tuple(header), tuple(rows))


def beside(name: str, title: str, header: tuple[str, ...], rows: list[tuple[Entry, ...]]) -> Sheet:
    """A table without those columns of the paper's values and of differences that are empty."""
    kept = [
        n
        for n, column in enumerate(header)
        if not column.startswith(("paper", "difference")) or any(row[n] is not None for row in rows)
    ]
    shown = tuple(tuple(row[n] for n in kept) for row in rows)
    return Sheet(name, title, tuple(header[n] for n in kept), shown)


def entries(scores: Cell) -> list[Entry]:
    """Mean, standard deviation and seeds."""
    return [scores.mean if scores.n else None, scores.sd, scores.n]


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def _against(scores: Cell, value: paper_values.Value | None) -> list[Entry]:
    if value is None:
        return [None, None, None]
    return [value.mean, value.sd, scores.mean - value.mean if scores.n else None]


def counts_sheet() -> Sheet:
    """Figure 4: trained parameters, ours computed and the paper's digitised."""
    rows: list[tuple[Entry, ...]] = []
    for c in counts():
        theirs = paper_values.COUNTS.get(c.method)
        paper = None if theirs is None else int(theirs[paper_values.SIZES.index(c.size)])
        rows.append((c.method, c.size, c.low, round(c.mean), c.high, paper))
    header = ("method", "size", "length 1", "mean of 1 to 100", "length 100", "paper, mean")
    return Sheet("figure4", "Figure 4. Trained parameters of a task (T5 1.1)", header, tuple(rows))


def trainable_sheet() -> Sheet:
    """Table 4: per cent of all parameters that a prompt is, at the paper's lengths.

    The paper's printed values: the total at length 1, the per cent at length 100.
    """
    rows: list[tuple[Entry, ...]] = []
    for size in paper_values.SIZES:
        for length in (1, 5, 20, 50, 100, 150):
            trained = prompt_tuning(SIZES[size], length)
            total = model_tuning(SIZES[size], length) + trained
            printed = paper_values.PARAMETERS[size] + trained if length == 1 else None
            share = paper_values.TRAINABLE_PERCENT[size] if length == 100 else None
            percent = [None if x is None else f"{x:.5f}" for x in (100 * trained / total, share)]
            rows.append((size, length, trained, total, percent[0], printed, percent[1]))
    header = ("size", "prompt length", "trained", "total", "trained (%)", "paper: total",
              "paper: trained (%)")  # fmt: skip
    return Sheet(COUNTS.name, COUNTS.title, header, tuple(rows))


def transfer_sheets(results: Iterable[Result]) -> list[Sheet]:
    """Tables 1 and 2: runs evaluated on another task than their own, prompt against model tuning.

    Settings, such as learning rates, are chosen on the task of training alone. The paper's values
    stand beside those of T5 1.1 XXL.
    """
    rows = _chosen_at_home([r for r in results if r.method in ("prompt", "model")])
    away = {r.trained_on for r in rows if r.task != r.trained_on}
    shift: list[tuple[Entry, ...]] = []
    pairs: list[tuple[Entry, ...]] = []
    keys = {(r.model, r.family, r.trained_on, r.task, r.metric, r.split): r.parameters
            for r in rows if r.trained_on in away}  # fmt: skip
    for key in sorted(keys, key=lambda key: (keys[key], key[1:])):
        model, family, source, task, metric, split = key
        here = [r for r in rows
                if (r.model, r.family, r.trained_on, r.task, r.metric, r.split) == key]  # fmt: skip
        names = source.rpartition("/")[2], task.rpartition("/")[2].partition("_from_")[0]
        paired = set(names) <= {"qqp", "mrpc"}
        for size, tuned, prompts in _by_start(here):
            ours = [cell(tuned, [task]), cell(prompts, [task])]
            delta = ours[1].mean - ours[0].mean if all(c.n for c in ours) else None
            theirs = None
            if family == T5 and model == "xxl" and (size == model or not prompts):
                theirs = (
                    paper_values.TRANSFER.get(names, {}).get(metric)
                    if paired
                    else paper_values.DOMAIN_SHIFT.get(names[1])
                    if metric == "f1"
                    else None
                )
            paper: list[Entry] = [None] * 5
            if theirs is not None:
                means = [value.mean for value in theirs]
                gaps = [c.mean - mean if c.n else None for c, mean in zip(ours, means, strict=True)]
                paper = [*means, means[1] - means[0], *gaps]
            row = (source, task, split, size, metric,
                   *entries(ours[0]), *entries(ours[1]), delta, *paper)  # fmt: skip
            (pairs if paired else shift).append(row)
    header = (
        *("trained on", "evaluated on", "split", "size", "metric"),
        *("model tuning (%)", "model: sd", "model: seeds"),
        *("prompt tuning (%)", "prompt: sd", "prompt: seeds", "prompt − model"),
        *("paper: model", "paper: prompt", "paper: prompt − model"),
        *("difference: model", "difference: prompt"),
    )
    found = [
        beside(DOMAIN_SHIFT.name, DOMAIN_SHIFT.title, header, shift),
        beside(TRANSFER.name, TRANSFER.title, header, pairs),
    ]
    return [sheet for sheet in found if sheet.rows]


def _by_start(results: list[Result]) -> Iterator[tuple[str, list[Result], list[Result]]]:
    """Model tuning and prompts on one size, for each LM adaptation (and sentinel) of the prompts.

    Model tuning is that from the same weights, or else, as in the paper, from others.
    """
    prompts, tuned = ([r for r in results if r.method == m] for m in ("prompt", "model"))
    left = {r.size for r in tuned}
    for size in sorted({r.size for r in prompts}):
        like = [r for r in tuned if r.size == size] or tuned
        left -= {r.size for r in like}
        yield size, like, [r for r in prompts if r.size == size]
    for size in sorted(left):
        yield size, [r for r in tuned if r.size == size], []


def _chosen_at_home(results: list[Result]) -> list[Result]:
    """Of each model, method and task of training the setting that is best on that task."""

    def group(r: Result) -> tuple[str, ...]:
        return r.family, r.size, r.method, r.trained_on

    at_home: dict[tuple[str, ...], list[Result]] = {}
    for r in dev(results):
        if r.task == r.trained_on:
            at_home.setdefault(group(r), []).append(r)
    best = {key: best_recipe(found) for key, found in at_home.items()}
    return [r for r in results if best.get(group(r), r.recipe) == r.recipe]


def factoring_sheet(results: Sequence[Result], figure: Figure = FACTORING) -> Sheet | None:
    """Each size and prompt length with and without factored second moments (not in the paper)."""
    rows: list[tuple[Entry, ...]] = []
    for model in by_size(results):
        for plot in plots(figure, [r for r in results if r.model == model]):
            cells = {(line.label, p.x): p.cell for line in plot.lines for p in line.points}
            for length in sorted({x for _, x in cells}):
                ours = [cells.get((label, length), Cell()) for label in FACTORING.labels.values()]
                gap = ours[1].mean - ours[0].mean if all(c.n for c in ours) else None
                what = (plot.family, model, int(length), ", ".join(plot.tasks))
                rows.append((*what, *entries(ours[0]), *entries(ours[1]), gap))
    header = (
        *("family", "size", "prompt length", "tasks"),
        *("factored from the limit on (%)", "factored: sd", "factored: seeds"),
        *("never factored (%)", "never: sd", "never: seeds", "never − factored"),
    )
    return Sheet("factoring_by_size", FACTORING.title, header, tuple(rows)) if rows else None


def runs_sheet(results: Sequence[Result]) -> Sheet:
    """Every run with its dev score."""
    header = ("method", "task", "family", "size", "parameters", "prompt length", "initialisation",
              "seed", "learning rate", "dev score (%)")  # fmt: skip
    rows = tuple(
        (
            METHODS.get(r.method, r.method),
            r.task,
            r.family,
            r.model,
            r.parameters,
            r.prompt_length,
            r.prompt_init,
            r.seed,
            f"{r.learning_rate:g}",
            r.value,
        )
        for r in sorted(dev(results), key=lambda r: (r.parameters, r.method, r.task, r.seed))
    )
    return Sheet("runs", "All runs", header, rows)
