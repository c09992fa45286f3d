"""A worker: takes one population after the other until none is left open.

Workers know nothing of each other. Whoever holds the locks of a population's run directories works
on it; the others pass on and look again later. So processes, machines and executors may be mixed,
and what a killed worker leaves is taken up by the next, exactly where its checkpoints are.
"""

import contextlib
import logging
import os
import pathlib
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import jax

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_json
from prompt_tuning.sweep.evaluations import Evaluation, done, evaluate_run
from prompt_tuning.sweep.status import FAILED, failure, is_done, log_work, read_result
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.training import checkpoint
from prompt_tuning.training.loop import train
from prompt_tuning.training.member import check_finished
from prompt_tuning.training.records import Busy, NoSpace, lock
from prompt_tuning.training.run import Run
from prompt_tuning.training.stop import Interrupted, StopRequest, listen

log = logging.getLogger(__name__)

WAIT = 1.0  # seconds before populations that are held elsewhere are looked at again


def work(
    populations: Sequence[Sequence[Run]],
    out: str | os.PathLike[str],
    evaluations: Sequence[Evaluation] = (),
    *,
    log_every: int = 50,
    save_seconds: float = 300.0,
    say: Callable[[str], None] = log.warning,
) -> None:
    """Train every population that is not done, failed or in other hands, until all are; then do
    the evaluations whose runs are done.

    A run that fails leaves its reason in `failed.json` and stops no other: of a population that
    fails as a whole, the runs are tried one by one. Raises `stop.Interrupted` after a signal (all
    is saved) and UserError where the results folder takes no more.
    """
    worker = _Worker(pathlib.Path(out), log_every, save_seconds, say)
    keep_compiled(pathlib.Path(out))
    with listen() as stop:
        _each(populations, worker.take, stop)
        _each(evaluations, worker.evaluate, stop)


def _each(items: Sequence[Any], do: Callable[[Any], None], stop: StopRequest) -> None:
    """Do everything, in order, but later what others hold."""
    waiting = list(items)
    while waiting:
        busy = []
        for item in waiting:
            stop.check()
            try:
                do(item)
            except Busy:
                busy.append(item)
        if len(busy) == len(waiting):
            time.sleep(WAIT)
        waiting = busy


def keep_compiled(out: pathlib.Path) -> None:
    """Programs compiled for this sweep are kept beside its results, for its other workers too."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str((out / ".compiled").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


class _Worker:
    def __init__(
        self, out: pathlib.Path, log_every: int, save_seconds: float, say: Callable[[str], None]
    ):
        self.out, self.log_every, self.save_seconds, self.say = out, log_every, save_seconds, say
        self.kept: tuple[tuple[str | None, ...], FrozenT5] | None = None

    def take(self, population: Sequence[Run]) -> None:
        """Bring a population to its end. Raises Busy if another process holds one of its runs."""
        self.refuse_damaged(population)
        if not self.open(population):
            return
        reasons = [failure(self.out / run.id) for run in population]
        if any(reason is not None and "step" not in reason for reason in reasons):
            alone = True  # it could not be trained as a whole before
        else:
            alone = not self.train(population)
        for run in self.open(population) if alone else ():
            self.train([run])

    def open(self, population: Sequence[Run]) -> list[Run]:
        """The runs that are neither done nor failed."""
        return [
            run
            for run in population
            if not (self.out / run.id / "result.json").exists()
            and failure(self.out / run.id) is None
        ]

    def refuse_damaged(self, population: Sequence[Run]) -> None:
        """Put aside results that are not sound; their runs are done again."""
        for run in population:
            directory = self.out / run.id
            path = directory / "result.json"
            if not path.exists():
                continue
            try:
                read_result(directory)
            except UserError:
                with lock(directory):
                    try:  # another process may have been here
                        read_result(directory)
                    except UserError as error:
                        self.say(f"{error}; the run is done again")
                        checkpoint.clear(directory / "checkpoints")
                        path.unlink(missing_ok=True)

    def train(self, population: Sequence[Run]) -> bool:
        """Whether all runs came to an end, good or bad."""
        with contextlib.ExitStack() as held:  # do not load a model for what others work on
            for run in population:
                held.enter_context(lock(self.out / run.id))
            if not (opened := self.open(population)):  # another process has just finished it
                return True
        finished = [r for r in population if (self.out / r.id / "result.json").exists()]
        began = time.monotonic()
        try:
            t5 = self.model(population[0])
            for run in finished:
                try:
                    check_finished(run, self.out / run.id, t5)
                except UserError as error:
                    self.say(f"{error}; until then its result counts")
            train(
                [run for run in population if run not in finished],
                self.out,
                t5=t5,
                quiet=True,
                log_every=self.log_every,
                save_seconds=self.save_seconds,
            )
        except (Busy, NoSpace):
            raise
        except Interrupted:
            log_work(self.out, opened, time.monotonic() - began)
            raise
        except Exception as error:
            still = self.open(population)
            if len(still) == 1:
                self.fail(still[0], error)
            if len(still) > 1:
                return False
        log_work(self.out, opened, time.monotonic() - began)
        for run in population:
            self.tidy(self.out / run.id)
        return True

    def evaluate(self, evaluation: Evaluation) -> None:
        """Do an evaluation that is not done. Raises Busy if another process holds its runs."""
        runs = evaluation.runs
        if done(evaluation, self.out) or any(not is_done(self.out / run.id) for run in runs):
            return
        with contextlib.ExitStack() as held:
            for run in runs:
                held.enter_context(lock(self.out / run.id))
            if done(evaluation, self.out):  # another process has been here
                return
            try:
                evaluate_run(evaluation, self.out, self.model)
            except (NoSpace, Interrupted):
                raise
            except Exception as error:
                reason = str(error) if isinstance(error, UserError) else repr(error)
                self.say(f"{evaluation.file(self.out).stem} of {runs[0].id} failed: {reason}")

    def fail(self, run: Run, error: Exception) -> None:
        """Keep the reason, for `status` and `--retry-failed`."""
        if isinstance(error, UserError):
            values = {"reason": str(error)}
        else:
            first = (str(error).strip().splitlines() or [""])[0][:300]
            trace = "".join(traceback.format_exception(error))
            values = {"reason": f"{type(error).__name__}: {first}", "traceback": trace}
        write_json(self.out / run.id / FAILED, values)
        self.say(f"{run.id} failed: {values['reason']}")

    def tidy(self, directory: pathlib.Path) -> None:
        """A finished run needs no checkpoints, and of a tuned model the best is enough."""
        if (directory / "result.json").exists():
            checkpoint.clear(directory / "checkpoints")
            shutil.rmtree(directory / "last_model", ignore_errors=True)

    def model(self, run: Run) -> FrozenT5:
        """The frozen model of a run; the last one stays in memory."""
        key = (run.model, run.revision, run.dtype, run.tokenizer)
        if self.kept is None or self.kept[0] != key:
            self.kept = None  # before the next one is loaded
            t5 = load_t5(run.model, run.revision, run.dtype, tokenizer=run.tokenizer)
            self.kept = key, t5
        return self.kept[1]
