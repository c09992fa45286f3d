"""What the figures and tables of the study are; `plots` and `tables` draw and print them.

An experiment file declares its own with `FIGURE = figures.LENGTH` or a `Figure(...)` of its own.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from prompt_tuning.sweep import paper_values
from prompt_tuning.sweep.paper_values import Series

# What may differ between the lines of a figure, or along its x axis.
Factor = Literal[
    "method",  # prompt tuning, model tuning, multi-task model tuning, prompt design
    "prompt_length",
    "prompt_init",
    "objective",  # span corruption, with or without a sentinel before targets, or LM adaptation
    "adaptation",  # steps of LM adaptation
    "factored",  # Adafactor's second moments from 128 rows on
    "model",  # the size
    "parameters",  # of the frozen model
]

METHODS = {
    "prompt": "prompt tuning",
    "model": "model tuning",
    "multitask": "multi-task model tuning",
    "design": "prompt design",
}
INITS = {
    "uniform": "random uniform",
    "uniform_released": "random uniform [0, 0.5)",
    "normal": "random normal",
    "vocabulary": "sampled vocabulary",
    "class_labels": "class labels",
    "text": "text",
    "file": "saved prompt",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """Lines of scores (mean and standard deviation over seeds) of one table of results.

    What is neither `x` nor `series` stays at its default: prompt tuning, fully LM-adapted models,
    the initialisation and position that most runs have.
    """

    name: str  # of its files
    title: str
    series: Factor  # a line for each value
    x: Literal["parameters", "prompt_length"] = "parameters"
    paper: Series | None = None  # the paper's values, a line each
    # Prompt length where it is not varied. "fixed": the longest up to the paper's 100 that every
    # size has; "best": of each size the one with the highest mean.
    length: int | Literal["fixed", "best"] = "fixed"
    # Averaged; empty: the trained tasks of the benchmark with most runs, and for an ablation those
    # on which every value was run.
    tasks: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)  # value -> legend


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the paper. The report prints those that the results have the runs for."""

    name: str  # of its files
    title: str


SCALE = Figure(
    "figure1",
    "Figure 1. Score against the size of the frozen model",
    series="method",
    paper=paper_values.SCALE,
    labels=METHODS,
)
LENGTH = Figure(
    "figure3a",
    "Figure 3a. Prompt length",
    series="prompt_length",
    paper=paper_values.LENGTH,
)
LENGTH_BY_SIZE = Figure(
    "figure3a_by_size",
    "Figure 3a, the other way round. Score against prompt length, for each size",
    series="model",
    x="prompt_length",
    paper=paper_values.LENGTH,
)
INITIALISATION = Figure(
    "figure3b",
    "Figure 3b. Prompt initialisation",
    series="prompt_init",
    paper=paper_values.INITIALISATION,
    labels=INITS,
)
OBJECTIVE = Figure(
    "figure3c",
    "Figure 3c. Pre-training objective of the frozen model",
    series="objective",
    paper=paper_values.OBJECTIVE,
)
ADAPTATION = Figure(
    "figure3d",
    "Figure 3d. Steps of LM adaptation of the frozen model",
    series="adaptation",
    paper=paper_values.ADAPTATION,
)
FACTORING = Figure(
    "factoring",
    "Prompt length with and without Adafactor's factoring of long prompts (not in the paper)",
    series="factored",
    x="prompt_length",
    labels={"True": "long prompts factored", "False": "never factored"},
)
FIGURES = (SCALE, LENGTH, LENGTH_BY_SIZE, INITIALISATION, OBJECTIVE, ADAPTATION, FACTORING)

DOMAIN_SHIFT = Table("table1", "Table 1. Domain shift: zero-shot on other domains")
TRANSFER = Table("table2", "Table 2. Zero-shot transfer between tasks")
ENSEMBLE = Table(
    "table3",
    "Table 3. Majority vote of several prompts on one frozen model. Best: the prompt with the "
    "highest score",
)
COUNTS = Table("table4", "Table 4. Trained parameters of prompt tuning on T5 1.1, computed")
CONVERGENCE = Table(
    "table5",
    "Table 5. Training until within 1 % of the mean score of a setting; minutes are a run's share "
    "of the work, the paper's are of BoolQ on 4 or 16 TPU chips",
)
SEARCH = Table("table6", "Table 6. Search of hyper-parameters on dev")
READING = Table(
    "section7",
    "Section 7. What the rows of trained prompts are near to in the vocabulary; the paper gives no "
    "numbers",
)
