"""What a table of results says about the paper's findings, in a few lines of text."""

import statistics
from collections.abc import Sequence

import pyarrow as pa

from prompt_tuning.sweep.cells import Cell, read_results
from prompt_tuning.sweep.figures import (
    FACTORING,
    FIGURES,
    INITIALISATION,
    LENGTH_BY_SIZE,
    OBJECTIVE,
    SCALE,
    Figure,
)
from prompt_tuning.sweep.lines import Plot, incomplete, plots


def findings(table: pa.Table, figures: Sequence[Figure] = FIGURES) -> str:
    """Markdown: what was found, as far as the table has the runs for it. Says so where it has none.

    The gap between model and prompt tuning, prompt length, initialisation, LM adaptation, and
    whether factoring costs long prompts anything; every number is a mean over the seeds that have
    all tasks. `figures` says what is averaged.
    """
    results = read_results(table)
    says = {
        SCALE.name: ("Model tuning against prompt tuning", _gap),
        LENGTH_BY_SIZE.name: ("Prompt length", _length),
        INITIALISATION.name: ("Initialisation", _initialisation),
        OBJECTIVE.name: ("LM adaptation", _adaptation),
        FACTORING.name: ("Factored second moments", _factoring),
    }
    out = []
    for figure in figures:
        if figure.name not in says:
            continue
        title, say = says[figure.name]
        for plot in plots(figure, results):
            if lines := say(plot):
                lines += [f"Incomplete: {gap}." for gap in incomplete(plot)]
                items = "".join(f"- {line}\n" for line in lines)
                out.append(f"**{title}** ({plot.family}; {', '.join(plot.tasks)})\n{items}")
    return "\n".join(out) or "The table has too few runs to compare anything.\n"


def _cells(plot: Plot) -> dict[str, dict[float | str, Cell]]:
    """label -> size (or prompt length) -> cell, of the cells that have a whole seed."""
    by_model = plot.figure.x == "parameters"
    return {
        line.label: {p.model if by_model else p.x: p.cell for p in line.points if p.cell.n}
        for line in plot.lines
    }


def _spread(a: Cell, b: Cell) -> str:
    """` ± 1.2`: the standard deviation of the difference between two runs, one of each cell."""
    if a.sd is None or b.sd is None:
        return " (one seed)"
    return f" ± {(a.sd**2 + b.sd**2) ** 0.5:.1f}"


def _gap(plot: Plot) -> list[str]:
    cells = _cells(plot)
    model, prompt = cells.get("model tuning", {}), cells.get("prompt tuning", {})
    both = [size for size in prompt if size in model]
    if not both:
        return []
    gaps = {size: model[size].mean - prompt[size].mean for size in both}
    each = ", ".join(f"{s} {gaps[s]:+.1f}{_spread(model[s], prompt[s])}" for s in both)
    points = [p for line in plot.lines if line.label == "prompt tuning" for p in line.points]
    lengths = {p.model: p.length for p in points if p.model in both}
    if len(set(lengths.values())) > 1:  # the best of each size
        of = ", ".join(f"{size} {length}" for size, length in lengths.items())
    else:
        of = str(next(iter(lengths.values())))
    lines = [f"Model tuning minus prompt tuning (length {of}), points: {each}."]
    if len(both) > 1:
        first, last = gaps[both[0]], gaps[both[-1]]
        if last <= 2 < first:
            verdict = "it closes to 2 points or less"
        elif first <= 2:
            verdict = "there is no gap above 2 points at the smallest size to begin with"
        else:
            verdict = "it does not close to 2 points"
        lines.append(
            f"From {both[0]} to {both[-1]} the gap goes from {first:.1f} to {last:.1f} points: "
            f"{verdict}."
        )
    if design := cells.get("prompt design"):
        sizes = [s for s in design if s in prompt]
        each = ", ".join(f"{s} {prompt[s].mean - design[s].mean:+.1f}" for s in sizes)
        lines += [f"Prompt tuning minus prompt design, points: {each}."] if each else []
    return lines


def _length(plot: Plot) -> list[str]:
    lines = []
    shares, gains = [], []
    for size, cells in _cells(plot).items():
        if len(cells) < 2:
            continue
        best = max(cells.values(), key=lambda c: c.mean)
        if 1 in cells and best.mean > 0:
            shares.append(f"{size} {100 * cells[1].mean / best.mean:.0f} %")
        longer = {x: c for x, c in cells.items() if isinstance(x, int) and x > 20}
        if 20 in cells and longer:
            x, top = max(longer.items(), key=lambda item: item[1].mean)
            gain, base = top.mean - cells[20].mean, cells[20]
            beyond = _beyond(gain, base, top)
            gains.append(f"{size} {gain:+.1f} at {x}{_spread(base, top)} ({beyond})")
    if shares:
        lines.append(
            f"One token reaches this share of the best length's score: {', '.join(shares)}."
        )
    if gains:
        lines.append(f"Gain of the best length beyond 20 over 20, points: {'; '.join(gains)}.")
    return lines


def _beyond(gain: float, a: Cell, b: Cell) -> str:
    """A plain comparison with the spread of seeds; no test is claimed."""
    if a.sd is None or b.sd is None:
        return "no deviation known"
    more = gain > (a.sd**2 + b.sd**2) ** 0.5
    return "more than the seeds' deviation" if more else "within the seeds' deviation"


def _initialisation(plot: Plot) -> list[str]:
    cells = _cells(plot)
    random = next(
        (cells[k] for k in ("random uniform", "random uniform [0, 0.5)") if k in cells), {}
    )
    return _differences(cells, random, "random uniform", ("class labels", "sampled vocabulary"))


def _adaptation(plot: Plot) -> list[str]:
    cells = _cells(plot)
    return _differences(cells, cells.get("span corruption", {}), "span corruption alone",
                        ("LM adaptation", "span corruption + sentinel"))  # fmt: skip


def _factoring(plot: Plot) -> list[str]:
    cells = _cells(plot)
    with_it, without = (cells.get(label, {}) for label in FACTORING.labels.values())
    each = ", ".join(
        f"{x} {without[x].mean - with_it[x].mean:+.1f}{_spread(with_it[x], without[x])}"
        for x in with_it
        if x in without
    )
    size = plot.lines[0].points[0].model
    return [f"Never factored minus factored at {size}, points by length: {each}."] if each else []


def _differences(
    cells: dict[str, dict[float | str, Cell]],
    base: dict[float | str, Cell],
    name: str,
    others: tuple[str, ...],
) -> list[str]:
    lines = []
    for other in others:
        sizes = [s for s in cells.get(other, {}) if s in base]
        if not sizes:
            continue
        gains = [cells[other][s].mean - base[s].mean for s in sizes]
        each = ", ".join(
            f"{s} {gain:+.1f}{_spread(cells[other][s], base[s])}"
            for s, gain in zip(sizes, gains, strict=True)
        )
        mean = statistics.fmean(gains)
        lines.append(f"{other} minus {name}, points: {each}; {mean:+.1f} on average over sizes.")
    return lines
