"""Figures by matplotlib, without pyplot: PDF, SVG and PNG of the same drawing.

Series differ in colour (Okabe and Ito's, or viridis where they have an order), marker and dash, so
that they can be told apart by the colour-blind and in grey.
"""

import importlib
import io
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.counts import Count
from prompt_tuning.sweep.lines import Plot, incomplete

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.5, 1.2, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7.5,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",  # looks alike where the font is missing
    "svg.hashsalt": "prompt-tuning",  # the same bytes each time
}
_NO_DATE: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


def _matplotlib() -> Any:
    """matplotlib, which is an extra. Raises UserError where it is missing."""
    try:
        importlib.import_module("matplotlib.figure")
        return importlib.import_module("matplotlib")
    except ImportError as error:
        raise UserError("figures need matplotlib: pip install 'prompt-tuning[plot]'") from error


def draw(plot: Plot, formats: Sequence[Format] = FORMATS) -> dict[str, bytes]:
    """The files of a figure by format: one panel, and the paper's own beside it where the paper's
    values are not comparable with ours.
    """
    matplotlib = _matplotlib()
    aside = bool(plot.paper) and not plot.comparable
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(
            figsize=(7.2, 3.3) if aside else (5.6, 3.0), layout="constrained"
        )
        axes = list(figure.subplots(1, 2 if aside else 1, squeeze=False)[0])
        styles = _styles(plot)
        floor: list[float] = []
        for number, line in enumerate(plot.lines):
            points = [p for p in line.points if p.cell.n]
            if not points:
                continue
            nudge = _nudge(number, len(plot.lines))
            axes[0].errorbar(
                [p.x * nudge for p in points],
                [p.cell.mean for p in points],
                yerr=[p.cell.sd or 0 for p in points],
                label=line.label,
                **styles[line.label],
                **_BARS,
            )
            floor += [p.cell.mean for p in points]
        for line in plot.paper:
            sd = [value.sd or 0 for _, _, value in line.points]
            hollow = {"markerfacecolor": "white"} | (
                {} if aside else {"linewidth": 0.8, "alpha": 0.6}
            )
            axes[-1].errorbar(
                [x for x, _, _ in line.points],
                [value.mean for _, _, value in line.points],
                yerr=sd,
                **{**styles[line.label], **hollow},
                **_BARS,
            )
        axes[0].set_ylabel(plot.score)
        axes[0].set_title(f"this study: {plot.family}" if aside else plot.family, loc="left")
        ours = [(p.x, p.model) for line in plot.lines for p in line.points]
        theirs = [(x, size) for line in plot.paper for x, size, _ in line.points]
        _scale_x(axes[0], plot, ours if aside else ours + theirs)
        if aside:
            axes[1].set_title(f"{paper_values.PAPER}: T5 1.1 (digitised)", loc="left")
            axes[1].set_ylabel("SuperGLUE dev score (%)")
            _scale_x(axes[1], plot, theirs)
        _legend(matplotlib, figure, plot, styles)
        if gaps := incomplete(plot):
            text = f"{len(gaps)} incomplete: see the caption"
            axes[0].text(1, 0.01, text, transform=axes[0].transAxes, ha="right", fontsize=6.5)
        return _save(matplotlib, figure, formats)


_BARS = {"capsize": 2.2, "elinewidth": 0.8, "capthick": 0.8, "markeredgewidth": 1.0}


def _styles(plot: Plot) -> dict[str, dict[str, Any]]:
    """A style for each label, the same for ours and the paper's."""
    ours, theirs = [line.label for line in plot.lines], [line.label for line in plot.paper]
    ordered = plot.figure.series in ("prompt_length", "adaptation", "model")
    if plot.figure.series == "model":  # sizes correspond by rank only
        return assign(ours, ordered) | assign(theirs, ordered)
    if plot.figure.series == "method":  # the paper's order, whichever methods are there
        return assign([*dict.fromkeys([*plot.figure.labels.values(), *ours])], False)
    return assign(
        [*dict.fromkeys([*theirs, *ours] if not ordered else _merge(ours, theirs))], ordered
    )


def _merge(ours: list[str], theirs: list[str]) -> list[str]:
    """Both in numeric order; what has no number (full adaptation) comes last."""

    def number(label: str) -> float:
        first = label.split()[0].replace(",", "")
        return float(first) if first.isdigit() else math.inf

    return sorted({*ours, *theirs}, key=number)


def assign(labels: Sequence[str], ordered: bool) -> dict[str, dict[str, Any]]:
    """A colour, marker and dash for each label."""
    palette: Sequence[Any] = _OKABE_ITO
    if ordered:
        viridis = _matplotlib().colormaps["viridis"]
        palette = [viridis(0.85 * n / max(1, len(labels) - 1)) for n in range(len(labels))]
    return {
        label: {
            "color": palette[n % len(palette)],
            "marker": _MARKERS[n % len(_MARKERS)],
            "linestyle": _DASHES[n % len(_DASHES)],
        }
        for n, label in enumerate(labels)
    }


def _nudge(number: int, count: int) -> float:
    """A small factor on x, so that error bars of several lines can be seen beside one another."""
    return 1 + 0.03 * (number - (count - 1) / 2)


def _scale_x(axes: Any, plot: Plot, points: list[tuple[float, str]]) -> None:
    """A log axis with a tick at every size or length."""
    axes.set_xscale("log")
    axes.margins(x=0.07)
    axes.minorticks_off()
    at = dict(sorted(points))
    if len(at) == 1:  # an axis around a single point
        axes.set_xlim(min(at) / 3, max(at) * 3)
    if plot.figure.x == "parameters":
        axes.set_xticks(list(at), [f"{size}\n{short(x)}" if size else "" for x, size in at.items()])
        if at[max(at)] == "":  # GPT-3's sizes have no ticks but the last
            sizes = {x: size for x, size in at.items() if size}
            names = [f"{size}\n{short(x)}" for x, size in sizes.items()]
            axes.set_xticks([*sizes, max(at)], [*names, f"GPT-3\n{short(max(at))}"])
        axes.set_xlabel("parameters of the frozen model (log scale)")
    else:
        axes.set_xticks(list(at), _stagger(list(at)))
        axes.set_xlabel("prompt length (tokens, log scale)")


def _stagger(at: list[float]) -> list[str]:
    """Labels for a log axis; one that is close to its left neighbour goes a line down."""
    names: list[str] = []
    for n, x in enumerate(at):
        close = n > 0 and x / at[n - 1] < 1.6 and not names[-1].startswith("\n")
        names.append(f"\n{x:g}" if close else f"{x:g}")
    return names


def short(number: float) -> str:
    """`77M`, `2.8B`, `32k`."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.{1 if number / unit < 9.95 else 0}f}{name}".replace(".0", "")
    return f"{number:g}"


def _legend(matplotlib: Any, figure: Any, plot: Plot, styles: dict[str, dict[str, Any]]) -> None:
    """Beside the panels: the series with their number of seeds, and what is ours."""
    line_2d = importlib.import_module("matplotlib.lines").Line2D
    entries = []
    ours = {line.label: line for line in plot.lines}
    by_rank = plot.figure.series == "model"
    for label in styles:
        line = ours.get(label)
        if line is None and (by_rank or label not in {p.label for p in plot.paper}):
            continue
        style = styles[label] | ({} if line else {"markerfacecolor": "white"})
        n = "" if line is None else f" (n = {_seeds([p.cell.n for p in line.points])})"
        entries.append(line_2d([], [], label=label + (n or " (paper only)"), **style))
    if plot.comparable and plot.paper:
        grey = {"color": "#555555", "linestyle": "", "marker": "o"}
        entries.append(line_2d([], [], label="filled: this study", **grey))
        hollow = {**grey, "markerfacecolor": "white"}
        entries.append(line_2d([], [], label=f"hollow: {paper_values.PAPER},\ndigitised", **hollow))
    elif by_rank and plot.paper:
        theirs = []
        for line in plot.paper:
            style = styles[line.label] | {"markerfacecolor": "white"}
            theirs.append(line_2d([], [], label=line.label, **style))
        pairs = itertools.zip_longest(entries, theirs)  # a column each, ours above the paper's
        entries = [entry for pair in pairs for entry in pair if entry is not None]
    if plot.paper and not plot.comparable:
        columns = max(len(plot.lines), 3) if by_rank else min(4, max(2, -(-len(entries) // 2)))
        figure.legend(handles=entries, loc="outside lower center", ncols=columns, handlelength=2.8)
    else:
        figure.legend(handles=entries, loc="outside right upper", handlelength=2.8)


def _seeds(counts: list[int]) -> str:
    drawn = sorted({n for n in counts if n})
    if not drawn:
        return "0"
    return f"{drawn[0]}" if len(drawn) == 1 else f"{drawn[0]}–{drawn[-1]}"


def draw_counts(counts: Sequence[Count], formats: Sequence[Format] = FORMATS) -> dict[str, bytes]:
    """Figure 4: what each method trains, against the size; bars are prompt lengths 1 to 100."""
    matplotlib = _matplotlib()
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(figsize=(5.8, 3.3), layout="constrained")
        axes = figure.subplots()
        sizes = list(paper_values.SIZES)
        xs = [paper_values.PARAMETERS[size] for size in sizes]
        styles = assign([*dict.fromkeys(count.method for count in counts)], False)
        for number, (method, style) in enumerate(styles.items()):
            rows = [count for count in counts if count.method == method]
            nudged = [x * _nudge(2 * number, 2 * len(styles) - 1) for x in xs]
            means = [row.mean for row in rows]
            below = [row.mean - row.low for row in rows]
            above = [row.high - row.mean for row in rows]
            look = style | {"markersize": 4} | _BARS
            axes.errorbar(nudged, means, yerr=(below, above), label=method, **look)
            if theirs := paper_values.COUNTS.get(method):
                hollow = {"markerfacecolor": "none", "linestyle": "", "markersize": 8}
                axes.plot(nudged, theirs, **{**style, **hollow})
        axes.plot([], [], "o", color="#555555", markerfacecolor="white", markersize=8,
                  label=f"{paper_values.PAPER} (digitised)")  # fmt: skip
        axes.set(xscale="log", yscale="log", ylabel="trained parameters for a task (log scale)")
        axes.minorticks_off()
        axes.set_xticks(xs, [f"{size}\n{short(x)}" for size, x in zip(sizes, xs, strict=True)])
        axes.set_xlabel("parameters of the frozen T5 1.1 (log scale)")
        handles, labels = axes.get_legend_handles_labels()
        order = [*range(1, len(labels)), 0]  # the paper last
        figure.legend(
            [handles[n] for n in order],
            [labels[n] for n in order],
            loc="outside right upper",
            handlelength=2.8,
        )
        return _save(matplotlib, figure, formats)


def _save(matplotlib: Any, figure: Any, formats: Sequence[Format]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for form in formats:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=200, metadata=_NO_DATE[form])
        files[form] = buffer.getvalue()
    return files
