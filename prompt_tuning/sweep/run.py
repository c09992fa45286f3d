"""`sweep_runs`: bring runs to their end with an executor."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Literal, get_args

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import check_writable
from prompt_tuning.sweep.evaluations import Evaluation, done
from prompt_tuning.sweep.grid import BY_MODEL, Sizes, distinct, populations
from prompt_tuning.sweep.local import sweep_local
from prompt_tuning.sweep.remote import Task, sweep_ray, sweep_slurm
from prompt_tuning.sweep.status import FAILED, RunStatus, holder, save_plan
from prompt_tuning.sweep.trackers import Tracker, package_of
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.tasks.base import unknown
from prompt_tuning.training.run import Run

Executor = Literal["local", "ray", "slurm"]


@dataclasses.dataclass(frozen=True)
class Workers:
    """How the work is spread. Each worker takes a population at a time."""

    workers: int | None = None  # None: one for each GPU (slurm: one job), or one
    log_every: int = 50  # steps between two lines of metrics.jsonl
    save_seconds: float = 300.0  # time between two checkpoints; each evaluation also writes one
    cpus: float = 1  # ray, slurm: of each worker
    gpus: float | None = None  # ray, slurm: of each worker; None: one (ray: if there are any)
    address: str | None = None  # ray: of the cluster; None: RAY_ADDRESS or this machine
    hours: float = 24.0  # slurm: of each job, which is submitted anew when they are over
    partition: str | None = None  # slurm
    cluster: Literal["slurm", "local"] = "slurm"  # slurm: "local" runs the jobs here, to try it
    detach: bool = False  # slurm: submit and do not wait

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"workers must be at least 1, not {self.workers}")
        if self.log_every < 1 or self.save_seconds < 0 or self.cpus <= 0 or self.hours <= 0:
            raise UserError("log_every, cpus and hours must be above 0, save_seconds not below it")


WORKERS = Workers()
# The fields of Workers that only some executors read.
_ONLY: dict[str, tuple[Executor, ...]] = {
    "cpus": ("ray", "slurm"),
    "gpus": ("ray", "slurm"),
    "address": ("ray",),
    "hours": ("slurm",),
    "partition": ("slurm",),
    "cluster": ("slurm",),
    "detach": ("slurm",),
}


def sweep_runs(
    runs: Sequence[Run],
    out: pathlib.Path,
    evaluations: Sequence[Evaluation] = (),
    *,
    experiment: str = "sweep",
    executor: Executor = "local",
    sizes: Sizes = BY_MODEL,
    workers: Workers = WORKERS,
    retry_failed: bool = False,
    quiet: bool = False,
    tracker: Tracker | None = None,
) -> list[RunStatus]:
    """Train and evaluate what is not done yet and return the state of every run.

    Results do not depend on the executor, the number of workers, or interruptions. Raises
    `stop.Interrupted` after a signal, when all workers have saved; UserError for bad input, and
    where the results folder takes no more.
    """
    runs = distinct(runs)
    if executor not in get_args(Executor):
        raise unknown("executor", executor, get_args(Executor))
    for name, executors in _ONLY.items():
        if getattr(workers, name) != getattr(WORKERS, name) and executor not in executors:
            raise UserError(f"{name} is for the executor {' or '.join(executors)}, not {executor}")
    check_writable(out)
    files = [str(e.file(out).relative_to(out)) for e in evaluations]
    if tracker is not None:
        package_of(tracker)
    save_plan(out, experiment, runs, files)
    if retry_failed:
        for run in runs:
            if holder(out / run.id) is None:
                with contextlib.suppress(FileNotFoundError):
                    (out / run.id / FAILED).unlink()
    watch = Watch(out, runs, quiet, tracker)
    try:
        states = {status.run.id: status.state for status in watch.survey.look()}
        ready = [e for e in evaluations if all(states.get(r.id) != "failed" for r in e.runs)]
        if set(states.values()) - {"done", "failed"} or not all(done(e, out) for e in ready):
            todo = populations(runs, sizes)
            task = Task(todo, out.resolve(), ready, workers.log_every, workers.save_seconds)
            _execute(executor, task, watch, workers)
        watch.track()
        return watch.survey.look()
    finally:
        watch.close()


def _execute(executor: Executor, task: Task, watch: Watch, how: Workers) -> None:
    each = {"workers": how.workers, "cpus": how.cpus, "gpus": how.gpus}
    if executor == "ray":
        sweep_ray(task, watch, address=how.address, **each)
    elif executor == "slurm":
        sweep_slurm(
            task,
            watch,
            hours=how.hours,
            partition=how.partition,
            cluster=how.cluster,
            detach=how.detach,
            **each,
        )
    else:
        sweep_local(
            task.populations,
            task.out,
            watch,
            task.evaluations,
            workers=how.workers,
            log_every=how.log_every,
            save_seconds=how.save_seconds,
        )
