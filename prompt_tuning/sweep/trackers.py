"""Optional mirrors of the runs' metrics: TensorBoard and Weights & Biases.

`metrics.jsonl` stays the record; a tracker is sent what it has not seen yet, while a sweep goes on
or at any time later, and nothing depends on it.
"""

import importlib
import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_json
from prompt_tuning.sweep.status import read_lines
from prompt_tuning.training.run import Run

Tracker = Literal["tensorboard", "wandb"]


def track(out: pathlib.Path, runs: Iterable[Run], tracker: Tracker) -> int:
    """Send every new line of the runs' metrics; returns how many were sent.

    tensorboard: event files in `out/tensorboard/RUN`. wandb: a run of the same name in the project
    that WANDB_PROJECT names, or "prompt-tuning". Raises UserError without the extra.
    """
    module = package_of(tracker)
    send = _tensorboard if tracker == "tensorboard" else _wandb
    memory = out / f".tracked-{tracker}.json"
    try:
        sent: dict[str, int] = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sent = {}
    count = 0
    try:
        for run in runs:
            lines = read_lines(out / run.id / "metrics.jsonl")
            if lines and not (out / run.id / "result.json").exists():
                last = lines[-1]["step"]  # its evaluation may be still to come
                lines = [row for row in lines if row["step"] < last]
            rows = [row for row in lines if row["step"] > sent.get(run.id, -1)]
            if rows:
                send(module, out, run, rows)
                sent[run.id] = max(row["step"] for row in rows)
                count += len(rows)
    finally:  # what was sent before one failed is not sent again
        if count:
            write_json(memory, sent)
    return count


def package_of(tracker: Tracker) -> Any:
    """The package that the tracker needs. Raises UserError without it."""
    package = "tensorboardX" if tracker == "tensorboard" else "wandb"
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"the tracker needs {package}: pip install 'prompt-tuning[{tracker}]'"
        ) from error


def _values(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line as "train/loss", "eval/score", ..."""
    numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and k != "step"}
    return {f"{row['kind']}/{name}": value for name, value in numbers.items()}


def _tensorboard(module: Any, out: pathlib.Path, run: Run, rows: Sequence[dict[str, Any]]) -> None:
    with module.SummaryWriter(str(out / "tensorboard" / run.id)) as writer:
        for row in rows:
            for name, value in _values(row).items():
                writer.add_scalar(name, value, row["step"])


def _wandb(module: Any, out: pathlib.Path, run: Run, rows: Sequence[dict[str, Any]]) -> None:
    project = os.environ.get("WANDB_PROJECT", "prompt-tuning")
    there = module.init(
        project=project,
        id=run.id[-64:],
        name=run.id,
        config=run.to_dict(),
        dir=str(out),
        resume="allow",
        reinit="create_new",
    )
    for row in rows:
        there.log(_values(row), step=row["step"])
    there.finish()
