"""What a figure shows, as numbers, and its caption."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.cells import (
    T5,
    Cell,
    Result,
    by_size,
    cell,
    dev,
    fixed_length,
    is_paper_suite,
    suite,
    usual,
)
from prompt_tuning.sweep.figures import INITS, METHODS, Figure
from prompt_tuning.sweep.paper_lines import PaperLine, label, paper_lines

# Series of which one value is the default, with more runs than the others.
ABLATIONS = ("prompt_init", "objective", "adaptation", "factored")


@dataclasses.dataclass(frozen=True)
class Point:
    """A cell and where it stands."""

    x: float
    model: str  # size
    cell: Cell
    length: int | None = None  # of the prompt, where there is one


@dataclasses.dataclass(frozen=True)
class Line:
    """The points of one line, left to right."""

    label: str
    points: tuple[Point, ...]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure with its numbers, ready to be drawn or tabulated."""

    name: str
    figure: Figure
    family: str
    tasks: tuple[str, ...]
    lines: tuple[Line, ...]
    paper: tuple[PaperLine, ...]
    comparable: bool  # the paper's values may stand in the same axes
    caption: str

    @property
    def score(self) -> str:
        """What the y axis shows."""
        if self.comparable:
            return "SuperGLUE dev score (%)"
        if len(self.tasks) == 1:
            return f"{self.tasks[0]} dev score (%)"
        return f"dev score, mean of {len(self.tasks)} tasks (%)"


def plots(figure: Figure, results: Sequence[Result]) -> list[Plot]:
    """The figure for each family of models that has the runs for it; often none."""
    families = sorted({r.family for r in results})
    found = []
    for family in families:
        ours = [r for r in results if r.family == family]
        tasks = figure.tasks or suite(ours)
        rows = _select(figure, [r for r in dev(ours) if r.task in tasks])
        if not figure.tasks and figure.series in ABLATIONS:
            tasks = _common_tasks(figure, rows, tasks)
            rows = [r for r in rows if r.task in tasks]
        drawn = _lines(figure, rows, tasks)
        needed = 1 if figure.series in ("method", "model") else 2
        across = {p.x for line in drawn for p in line.points}
        if len(drawn) < needed or (figure.x != "parameters" and len(across) < 2):
            continue
        comparable = is_paper_suite(family, tasks)
        slug = "" if len(families) == 1 else "_" + family.replace(" ", "_").replace(".", "_")
        plot = Plot(
            name=figure.name + slug,
            figure=figure,
            family=family,
            tasks=tuple(tasks),
            lines=tuple(drawn),
            paper=tuple(paper_lines(figure, comparable)),
            comparable=comparable,
            caption="",
        )
        found.append(dataclasses.replace(plot, caption=_caption(plot, rows)))
    return found


def _common_tasks(figure: Figure, rows: list[Result], tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks on which every value of the series was run: the default is often run on more."""
    known: dict[Any, set[str]] = {}
    for r in rows:
        known.setdefault(_key(figure.series, r), set()).add(r.task)
    common = set.intersection(*known.values()) if known else set()
    return tuple(task for task in tasks if task in common) or tuple(tasks)


def _select(figure: Figure, results: list[Result]) -> list[Result]:
    """Only what the figure varies leaves the default."""
    varied = {figure.series, figure.x}
    if "objective" not in varied:
        results = [r for r in results if not r.sentinel]
    prompts = [r for r in results if r.method == "prompt"]
    full = not prompts or any(r.adaptation is None for r in prompts)
    adapted = None if full else usual(prompts, lambda r: r.adaptation)
    # The paper's model tuning starts from T5 before adaptation, its prompts from adapted models.
    tuned = usual(
        [r for r in results if r.method in ("model", "multitask")], lambda r: r.adaptation
    )
    init = _usual_init(prompts)
    position = usual(prompts, lambda r: r.position)

    def keep(r: Result) -> bool:
        if "method" not in varied and r.method != "prompt":
            return False
        if "objective" in varied:
            if r.adaptation not in (0, None):
                return False
        elif "adaptation" not in varied:
            wanted = tuned if r.method in ("model", "multitask") else adapted
            if r.adaptation != wanted:
                return False
        return r.method != "prompt" or (
            ("prompt_init" in varied or r.prompt_init == init)
            and r.position == position
            and ("factored" in varied or r.factored)
        )

    kept = [r for r in results if keep(r)]
    if "factored" in varied:
        kept = _paired(kept)
    if "prompt_length" in varied or figure.length == "best":
        return kept
    groups: dict[Any, list[Result]] = {}
    for r in kept:
        groups.setdefault((r.model, _key(figure.series, r)), []).append(r)
    length = fixed_length(groups.values()) if figure.length == "fixed" else figure.length
    return [r for r in kept if r.method != "prompt" or r.prompt_length == length]


def _paired(results: list[Result]) -> list[Result]:
    """Runs of settings that were tried with and without factoring, whatever the prompt length."""
    known: dict[tuple[str, str], set[bool]] = {}
    keys = []
    for r in results:
        run = json.loads(r.recipe)
        prompt = {**run.get("prompt", {}), "length": None}
        optimizer = {**run.get("optimizer", {}), "factored": None}
        rest = {**run, "prompt": prompt, "optimizer": optimizer}
        keys.append((r.model, json.dumps(rest, sort_keys=True)))
        known.setdefault(keys[-1], set()).add(r.factored)
    return [r for r, key in zip(results, keys, strict=True) if len(known[key]) == 2]


def _usual_init(prompts: list[Result]) -> str | None:
    """The initialisation that most runs have; the paper's where several are as frequent."""
    counts: dict[str, int] = {}
    for r in prompts:
        counts[r.prompt_init] = counts.get(r.prompt_init, 0) + 1
    return max(counts, key=lambda init: (counts[init], init == "class_labels"), default=None)


def _lines(figure: Figure, rows: list[Result], tasks: Sequence[str]) -> list[Line]:
    if figure.x != "parameters" and figure.series != "model":
        rows = _one_size(figure, rows)
    keys = sorted({_key(figure.series, r) for r in rows}, key=lambda key: _order(figure, key, rows))
    lines = []
    for key in keys:
        mine = [r for r in rows if _key(figure.series, r) == key]
        points = []
        for model, group in by_size(mine).items():
            if figure.x == "parameters":
                points.append(_point(figure, model, group[0].parameters, group, tasks))
                continue
            for x in sorted({_key(figure.x, r) for r in group}):
                here = [r for r in group if _key(figure.x, r) == x]
                points.append(_point(figure, model, x, here, tasks))
        lines.append(Line(label(figure, key), tuple(points)))
    return lines


def _one_size(figure: Figure, rows: list[Result]) -> list[Result]:
    """The rows of the size that has most values of the series, the largest of such."""
    sizes = by_size(rows)
    best = max(
        enumerate(sizes),
        key=lambda item: (len({_key(figure.series, r) for r in sizes[item[1]]}), item[0]),
        default=(0, ""),
    )
    return sizes.get(best[1], [])


def _point(figure: Figure, model: str, x: float, rows: list[Result], tasks: Sequence[str]) -> Point:
    """The cell of these rows; of several prompt lengths (`length="best"`), the best."""
    prompts = {r.prompt_length for r in rows if r.method == "prompt"}
    if not prompts:
        return Point(x, model, cell(rows, tasks))
    cells = {
        length: cell([r for r in rows if r.prompt_length == length], tasks)
        for length in sorted(prompts)
    }
    best = max(cells, key=lambda length: (cells[length].n > 0, cells[length].mean))
    return Point(x, model, cells[best], best)


def _key(factor: str, r: Result) -> Any:
    if factor == "adaptation":
        return 100_000 if r.adaptation is None and r.family == T5 else r.adaptation
    return str(r.factored) if factor == "factored" else getattr(r, factor)


def _order(figure: Figure, key: Any, rows: list[Result]) -> Any:
    if figure.series == "model":
        return next(r.parameters for r in rows if r.model == key)
    if figure.series in ("method", "prompt_init"):
        return list(METHODS if figure.series == "method" else INITS).index(key)
    if isinstance(key, int):
        return key
    # Full adaptation last; "span corruption" before "LM adaptation", "True" before "False".
    return float("inf") if key is None else (-ord(key[0]), key)


def incomplete(plot: Plot) -> list[str]:
    """The cells that lack a task, in words. Those without any whole seed are not drawn."""
    found = []
    for line in plot.lines:
        for p in line.points:
            if p.cell.missing:
                tasks = ", ".join(p.cell.missing)
                what = "not drawn" if not p.cell.n else f"only {p.cell.n} whole seeds"
                where = p.model if plot.figure.x == "parameters" else f"{p.model} at {p.x:g}"
                found.append(f"{line.label} {where}: {what}, some seeds lack {tasks}")
    return found


def _caption(plot: Plot, rows: list[Result]) -> str:
    figure, points = plot.figure, [p for line in plot.lines for p in line.points]
    seeds = sorted({p.cell.n for p in points if p.cell.n})
    runs = [r for r in rows if r.method == "prompt"]
    n = "no whole seed" if not seeds else f"{seeds[0]}" + (f" to {seeds[-1]}" * (len(seeds) > 1))
    text = [
        f"{figure.title}. Frozen models: {plot.family}.",
        f"Score: dev, {'mean over ' * (len(plot.tasks) > 1)}{', '.join(plot.tasks)}.",
        f"Points are means over n = {n} seeds, bars the sample standard deviation between seeds.",
    ]
    if figure.x != "parameters" and figure.series != "model" and points:
        text.append(f"Size {points[0].model}.")
    if runs and "prompt_length" not in (figure.series, figure.x):
        lengths = ", ".join(f"{p.model} {p.length}" for p in points if p.length is not None)
        text.append(
            f"Prompt length: the best of each size, chosen on the same dev scores ({lengths})."
            if figure.length == "best"
            else f"Prompt length {runs[0].prompt_length} at every size."
        )
    if runs and figure.series != "prompt_init":
        init = INITS.get(runs[0].prompt_init, runs[0].prompt_init)
        text.append(f"Prompts start from {init}.")
    if tried := [p.cell.tried for p in points if p.cell.tried > 1]:
        text.append(
            f"Where a task was run under several settings (at most {max(tried)}: learning rates, "
            "steps, texts), it counts by the best on dev."
        )
    if plot.paper:
        where = "hollow markers" if plot.comparable else "the right panel, other models and tasks"
        text.append(
            f"{paper_values.PAPER}: {where}; T5 1.1 on SuperGLUE, digitised, means of "
            f"{paper_values.RUNS} runs"
            + ("; prompt design is GPT-3's few-shot." if figure.series == "method" else ".")
        )
    if gaps := incomplete(plot):
        text.append(f"Incomplete: {'; '.join(gaps)}.")
    return " ".join(text)
