"""The executors `ray` and `slurm`: workers on other machines that see the same folders.

A worker is what it is on one machine (`work.work`), so results are the same. Models, data and the
results folder must have the same paths everywhere.
"""

import dataclasses
import importlib
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.evaluations import Evaluation, done
from prompt_tuning.sweep.status import FAILED
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.sweep.work import work
from prompt_tuning.training import checkpoint
from prompt_tuning.training.run import Run
from prompt_tuning.training.stop import Interrupted, StopRequest, listen

PATIENCE = 5.0  # seconds between two looks at the runs
MAX_DEATHS = 3  # of Ray's workers, for each, while nothing goes on


@dataclasses.dataclass(frozen=True)
class Task:
    """What every worker is asked to do."""

    populations: Sequence[Sequence[Run]]
    out: pathlib.Path  # absolute
    evaluations: Sequence[Evaluation]
    log_every: int
    save_seconds: float

    def __call__(self) -> str:
        """Work until nothing is left open. Returns why it cannot go on, or ""."""
        try:
            work(
                self.populations,
                self.out,
                self.evaluations,
                log_every=self.log_every,
                save_seconds=self.save_seconds,
            )
        except UserError as error:
            return str(error)
        except Interrupted:  # all is saved, and whoever sent the signal knows
            pass
        return ""

    def left(self) -> dict[str, int]:
        """What is open: runs neither done nor failed, with their latest step saved; evaluations."""
        runs = {run.id: self.out / run.id for group in self.populations for run in group}
        return {
            name: max(checkpoint.steps(folder / "checkpoints"), default=0)
            for name, folder in runs.items()
            if not any((folder / file).exists() for file in ("result.json", FAILED))
        } | {
            str(e.file(self.out).relative_to(self.out)): 0
            for e in self.evaluations
            if not done(e, self.out)
        }

    def checkpoint(self, *args: Any) -> Any:
        """What submitit submits in its place when a job runs out of time: the same again."""
        return _extra("submitit", "slurm").helpers.DelayedSubmission(self)


def sweep_ray(
    task: Task,
    watch: Watch,
    *,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float | None = None,
    resources: dict[str, float] | None = None,
    address: str | None = None,
) -> None:
    """Workers as Ray tasks; those that die are started anew, on whatever machine is left, until
    they die over and over and nothing goes on (UserError).

    workers: by default as many as the cluster's GPUs give, or one. cpus, gpus, resources: of each
    worker; gpus None: one, where the cluster has any; resources such as {"TPU": 4}. address: of a
    cluster; None: the one that RAY_ADDRESS names, or this machine.
    """
    ray = _extra("ray", "ray")
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        there = ray.cluster_resources().get("GPU", 0)
        each = (1 if there else 0) if gpus is None else gpus
        count = workers or max(1, int(there / each) if each else 1)
        remote = ray.remote(max_retries=0, num_cpus=cpus, num_gpus=each, resources=resources)
        call, count = remote(_call), min(count, _useful(task))
        lost = tuple(getattr(ray.exceptions, name) for name in _LOST)
        deaths, before = 0, task.left()
        with listen() as stop:
            waiting = [call.remote(task) for _ in range(count)]
            while waiting and stop.signal is None:
                ended, waiting = ray.wait(waiting, timeout=PATIENCE)
                watch.show()
                for reference in ended:
                    try:
                        reason = ray.get(reference)
                    except lost as error:  # what it did is in its checkpoints
                        now, cause = task.left(), type(error).__name__
                        deaths = deaths + 1 if now == before else 1
                        before, reason = now, _given_up(deaths, count, now, cause)
                        if not reason:
                            watch.say(f"a worker was lost ({cause}): another goes on")
                            waiting.append(call.remote(task))
                    if reason:
                        stop_ray(ray, waiting)
                        raise UserError(reason)
            stop_ray(ray, waiting)
            _interrupted(stop, watch)
    finally:
        if ours:
            ray.shutdown()


# Ray's exceptions for a worker that did not end by itself.
_LOST = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError")


def _given_up(deaths: int, workers: int, left: dict[str, int], cause: str) -> str:
    """Why no worker is started anew, or ""."""
    if deaths < MAX_DEATHS * workers:
        return ""
    which = next(iter(left), "nothing") + (f" and {len(left) - 1} more" if len(left) > 1 else "")
    return f"workers died {deaths} times and nothing went on ({cause}); still open: {which}"


def _call(task: Task) -> str:
    return task()


def stop_ray(ray: Any, waiting: Sequence[Any]) -> None:
    """Ask workers to save and stop (Ray sends them an interrupt), and wait for it."""
    for reference in waiting:
        ray.cancel(reference, force=False)
    if waiting:
        ray.wait(list(waiting), num_returns=len(waiting))


def sweep_slurm(
    task: Task,
    watch: Watch,
    *,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float | None = None,
    hours: float = 24.0,
    partition: str | None = None,
    cluster: str = "slurm",
    detach: bool = False,
) -> None:
    """Workers as SLURM jobs, submitted anew when their time runs out.

    workers: jobs, by default one. cpus, gpus: of each; gpus None: one. hours: of each job. cluster:
    submitit's name; "local" runs the jobs on this machine, to try things out. detach: do not wait;
    `prompt-tuning status` shows how far the jobs are.
    """
    submitit = _extra("submitit", "slurm")
    parameters: dict[str, Any] = {
        "name": "prompt-tuning",
        "timeout_min": max(1, round(hours * 60)),
        "cpus_per_task": max(1, round(cpus)),
        "gpus_per_node": (0 if cluster == "local" else 1) if gpus is None else round(gpus),
    }
    if partition is not None:
        parameters["slurm_partition"] = partition
    try:
        executor = submitit.AutoExecutor(folder=task.out / "slurm" / "%j", cluster=cluster)
        executor.update_parameters(**parameters)
        jobs = [executor.submit(task) for _ in range(min(workers or 1, _useful(task)))]
    except (RuntimeError, OSError) as error:  # no SLURM, or it refuses
        raise UserError(f"the jobs cannot be submitted: {str(error).splitlines()[0]}") from error
    watch.say(f"SLURM jobs: {' '.join(job.job_id for job in jobs)}")
    if detach:
        return
    with listen() as stop:
        while stop.signal is None and not all(job.done() for job in jobs):
            time.sleep(PATIENCE)
            watch.show()
        if stop.signal is not None:
            for job in jobs:
                job.cancel()
        _interrupted(stop, watch)
    for job in jobs:
        error = job.exception()
        if error is not None:
            last = str(error).strip().splitlines()[-1]
            raise UserError(f"the job {job.job_id} failed: {last}; see {job.paths.stderr}")
        if reason := job.result():
            raise UserError(reason)


def _useful(task: Task) -> int:
    """More workers than this have nothing to do."""
    return max(1, len(task.populations), len(task.evaluations))


def _interrupted(stop: StopRequest, watch: Watch) -> None:
    watch.show(force=True)
    stop.check()


def _extra(module: str, extra: str) -> Any:
    """A package that only this executor needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"this executor needs {module}: pip install 'prompt-tuning[{extra}]'"
        ) from error
