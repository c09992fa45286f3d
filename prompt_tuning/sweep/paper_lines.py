"""The paper's values as the lines of a figure, and what the lines of a figure are called."""

import dataclasses
from typing import Any

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.figures import Figure
from prompt_tuning.sweep.paper_values import Value


@dataclasses.dataclass(frozen=True)
class PaperLine:
    """A line of the paper: x, size ("" for GPT-3) and value."""

    label: str
    points: tuple[tuple[float, str, Value], ...]


def label(figure: Figure, key: Any) -> str:
    """The legend of a value of the series."""
    if figure.series == "prompt_length":
        return f"{key} token" if int(key) == 1 else f"{key} tokens"
    if figure.series == "adaptation":
        return "full adaptation" if key is None else f"{int(key):,} steps"
    return figure.labels.get(key, str(key))


def paper_lines(figure: Figure, comparable: bool) -> list[PaperLine]:
    """The figure's lines in the paper; none where the paper has no such figure."""
    if figure.paper is None:
        return []
    sizes = paper_values.SIZES
    if figure.x == "prompt_length":
        return [
            # Our sizes may have the same names and be others.
            PaperLine(
                size + " (paper)" * (not comparable),
                tuple((int(key), size, row[n]) for key, row in figure.paper.items()),
            )
            for n, size in enumerate(sizes)
        ]
    lines = [
        PaperLine(
            label(figure, key),
            tuple(
                (paper_values.PARAMETERS[size], size, value)
                for size, value in zip(sizes, row, strict=True)
            ),
        )
        for key, row in figure.paper.items()
    ]
    if figure.series == "method":
        gpt3 = tuple((x, "", value) for x, value in paper_values.GPT3.items())
        lines.append(PaperLine("prompt design", gpt3))
    return lines
