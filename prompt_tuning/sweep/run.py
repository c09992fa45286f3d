"""`sweep_runs`: bring runs to their end with an executor."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import check_writable
from prompt_tuning.sweep.evaluations import Evaluation, done
from prompt_tuning.sweep.grid import BY_MODEL, Sizes, distinct, populations
from prompt_tuning.sweep.local import sweep_local
from prompt_tuning.sweep.status import FAILED, RunStatus, holder, save_plan
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.tasks.base import unknown
from prompt_tuning.training.run import Run

EXECUTORS = ("local", "ray", "slurm")


@dataclasses.dataclass(frozen=True)
class Workers:
    """How the work is spread. Each worker takes a population at a time."""

    workers: int | None = None  # None: local: one for each GPU, or one
    log_every: int = 50  # steps between two lines of metrics.jsonl
    save_seconds: float = 300.0  # time between two checkpoints; each evaluation also writes one

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"workers must be at least 1, not {self.workers}")


WORKERS = Workers()


def sweep_runs(
    runs: Sequence[Run],
    out: pathlib.Path,
    evaluations: Sequence[Evaluation] = (),
    *,
    experiment: str = "sweep",
    executor: str = "local",
    sizes: Sizes = BY_MODEL,
    workers: Workers = WORKERS,
    retry_failed: bool = False,
    quiet: bool = False,
) -> list[RunStatus]:
    """Train and evaluate what is not done yet and return the state of every run.

    Results do not depend on the executor, the number of workers, or interruptions. Raises
    `stop.Interrupted` after a signal, when all workers have saved; UserError for bad input, and
    where the results folder takes no more.
    """
    runs = distinct(runs)
    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    check_writable(out)
    save_plan(out, experiment, runs)
    if retry_failed:
        for run in runs:
            if holder(out / run.id) is None:
                with contextlib.suppress(FileNotFoundError):
                    (out / run.id / FAILED).unlink()
    watch = Watch(out, runs, quiet)
    try:
        todo = populations(runs, sizes)
        states = {status.run.id: status.state for status in watch.survey.look()}
        ready = [e for e in evaluations if all(states.get(r.id) != "failed" for r in e.runs)]
        if set(states.values()) - {"done", "failed"} or not all(done(e, out) for e in ready):
            options = {"log_every": workers.log_every, "save_seconds": workers.save_seconds}
            sweep_local(todo, out, watch, evaluations, workers=workers.workers, **options)
        return watch.survey.look()
    finally:
        watch.close()
