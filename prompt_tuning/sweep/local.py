"""The executor `local`: worker processes on this machine, watched, and replaced when they die."""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_json
from prompt_tuning.sweep.evaluations import Evaluation
from prompt_tuning.sweep.status import FAILED, failure, last_holder
from prompt_tuning.sweep.watch import Watch
from prompt_tuning.sweep.work import work
from prompt_tuning.t5.runtime import reuse_memory
from prompt_tuning.training import checkpoint
from prompt_tuning.training.run import Run
from prompt_tuning.training.stop import Interrupted, listen

PATIENCE = 2.0  # seconds between two looks at the runs


@dataclasses.dataclass
class _Worker:
    process: ForkServerProcess
    messages: multiprocessing.connection.Connection
    number: int


def sweep_local(
    populations: Sequence[Sequence[Run]],
    out: pathlib.Path,
    watch: Watch,
    evaluations: Sequence[Evaluation] = (),
    *,
    workers: int | None = None,
    log_every: int = 50,
    save_seconds: float = 300.0,
    max_deaths: int = 3,
) -> None:
    """Work on populations in `workers` processes until nothing is left open.

    workers: by default one for each GPU, or one. On a CPU they share out its cores.
    max_deaths: a population whose worker has died so often without a new checkpoint between (out of
        memory, as a rule) is given up: its runs have failed.
    Raises `stop.Interrupted` after a signal, when every worker has saved and stopped; UserError
    where a worker cannot go on.
    """
    gpus = visible_gpus()
    count = min(workers or max(1, len(gpus)), max(1, len(populations)))
    # A server that has imported JAX, but not started it, forks workers in no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prompt_tuning.sweep.work"])
    deaths = _Deaths(out, populations, max_deaths)

    def start(number: int) -> _Worker:
        ours, theirs = context.Pipe(duplex=False)
        options = {"log_every": log_every, "save_seconds": save_seconds}
        environment = share_of_machine(number, count, gpus)
        process = context.Process(
            target=_main,
            args=(theirs, environment, (populations, out, evaluations), options),
            daemon=False,
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, number)

    with listen() as stop:
        running = [start(number) for number in range(count)]
        try:
            while running and stop.signal is None:
                sentinels = [worker.process.sentinel for worker in running]
                multiprocessing.connection.wait(sentinels, timeout=PATIENCE)
                watch.show()
                for worker in list(running):
                    _read(worker, watch)
                    if worker.process.is_alive():
                        continue
                    running.remove(worker)
                    worker.process.join()
                    code = worker.process.exitcode
                    if not code or stop.signal is not None:
                        continue
                    if code == 128 + signal.SIGTERM:  # not asked to by us
                        watch.say("a worker was told to stop, and saved: another goes on")
                    else:
                        deaths.note(worker.process.pid or 0, code, watch)
                    running.append(start(worker.number))
        finally:
            _stop(running, stop)
            watch.show(force=True)
        if stop.signal is not None:
            raise Interrupted(stop.signal)


def _stop(running: list[_Worker], stop: Any) -> None:
    """Ask workers to save and stop, again and again; a second signal to us kills them."""
    while alive := [worker for worker in running if worker.process.is_alive()]:
        for worker in alive:
            with contextlib.suppress(ProcessLookupError):
                worker.process.terminate()
        try:
            multiprocessing.connection.wait([w.process.sentinel for w in alive], timeout=1.0)
        except KeyboardInterrupt:
            for worker in alive:
                worker.process.kill()


def _read(worker: _Worker, watch: Watch) -> None:
    """What a worker has to say; UserError if it cannot go on."""
    with contextlib.suppress(EOFError, OSError):
        while worker.messages.poll():
            kind, text = worker.messages.recv()
            if kind == "error":
                raise UserError(text)
            watch.say(text)


class _Deaths:
    """How often workers died over a population without a new checkpoint."""

    def __init__(self, out: pathlib.Path, populations: Sequence[Sequence[Run]], limit: int):
        self.out, self.populations, self.limit = out, populations, limit
        self.seen: dict[int, tuple[Any, int]] = {}
        self.idle = 0  # deaths over no run at all

    def note(self, pid: int, code: int, watch: Watch) -> None:
        """Count a death; give up the population that the worker was on if it was one too many."""
        cause = f"signal {-code}" if code < 0 else f"exit status {code}"
        for n, population in enumerate(self.populations):
            open_runs = [
                run
                for run in population
                if last_holder(self.out / run.id) == pid
                and not (self.out / run.id / "result.json").exists()
                and failure(self.out / run.id) is None
            ]
            if not open_runs:
                continue
            saved = [checkpoint.steps(self.out / run.id / "checkpoints") for run in open_runs]
            before, times = self.seen.get(n, (None, 0))
            times = times + 1 if saved == before else 1
            self.seen[n] = saved, times
            if times < self.limit:
                watch.say(f"a worker died ({cause}) over {open_runs[0].id}: another goes on")
                return
            reason = f"its worker died {times} times ({cause}; out of memory?)"
            for run in open_runs:
                write_json(self.out / run.id / FAILED, {"reason": reason})
            return
        self.idle += 1
        if code > 0 or self.idle >= self.limit:  # it cannot even start
            raise UserError(f"a worker of the sweep failed ({cause}): see the lines above")


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that JAX would see, by the names CUDA_VISIBLE_DEVICES takes."""
    if os.environ.get("JAX_PLATFORMS", "").split(",")[0] == "cpu":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(n) for n in range(len(list(pathlib.Path("/proc/driver/nvidia/gpus").glob("*"))))]


def share_of_machine(number: int, count: int, gpus: Sequence[str]) -> dict[str, Any]:
    """The environment variables and CPU cores of worker `number` of `count`."""
    if count == 1:
        return {}
    if gpus:
        each = max(1, len(gpus) // count)
        first = number * each % len(gpus)
        variables = {"CUDA_VISIBLE_DEVICES": ",".join(gpus[first : first + each])}
        if count > len(gpus):  # several on one
            variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / -(-count // len(gpus)):.2f}"
        return {"variables": variables}
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {"cores": cores[number % len(cores) :: count] or cores} if cores else {}


def _main(
    messages: multiprocessing.connection.Connection,
    environment: dict[str, Any],
    task: tuple[Sequence[Sequence[Run]], pathlib.Path, Sequence[Evaluation]],
    options: dict[str, Any],
) -> None:
    """A worker process. It ends with its parent, having saved."""
    os.environ.update(environment.get("variables", {}))
    if cores := environment.get("cores"):
        os.sched_setaffinity(0, cores)
    reuse_memory()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch_parent, daemon=True).start()

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            messages.send(("line", text))

    try:
        work(*task, say=say, **options)
    except Interrupted:
        sys.exit(128 + signal.SIGTERM)
    except UserError as error:
        messages.send(("error", str(error)))
        sys.exit(2)
