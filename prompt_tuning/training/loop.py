"""`train`: one run or a population of runs over one frozen model, exactly resumable."""

import contextlib
import dataclasses
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from prompt_tuning.errors import UserError
from prompt_tuning.t5.load import FrozenT5, load_t5
from prompt_tuning.t5.sharding import make_mesh, shard_params
from prompt_tuning.training import checkpoint
from prompt_tuning.training.data import SharedData
from prompt_tuning.training.member import Member, check_finished, load_result
from prompt_tuning.training.population import Population, failed_step
from prompt_tuning.training.records import (
    lock,
    plain_disk_errors,
)
from prompt_tuning.training.run import Run
from prompt_tuning.training.stop import listen

log = logging.getLogger(__name__)

# What the runs of a population may differ in; all else they share.
OWN_FIELDS = {
    "seed", "prompt", "optimizer", "task", "data", "user_task", "task_name_in_text", "sentinel",
    "train_split", "dev_split", "train_examples", "dev_examples", "max_input_length",
    "max_target_length", "evaluation", "patience",
}  # fmt: skip


def population_key(run: Run) -> str:
    """Runs with equal keys can be trained together in one program."""
    shared = {k: v for k, v in run.to_dict().items() if k not in OWN_FIELDS}
    return repr(sorted(shared.items()))


def train(
    runs: Run | Sequence[Run],
    out: str | os.PathLike[str],
    *,
    t5: FrozenT5 | None = None,
    quiet: bool = False,
    log_every: int = 50,
    save_seconds: float = 300.0,
    model_parallel: int = 1,
) -> Any:
    """Train a run, or a population of runs, and return its `Result` (a list for a list).

    Each run has the directory `out/run.id`: config.json, manifest.json, metrics.jsonl,
    predictions.jsonl, the best and the last prompt (or model), checkpoints and, once it is done,
    result.json. A finished run is not trained again; an interrupted one goes on where it was and
    ends as if it had never stopped.

    t5: the frozen model, if it is already in memory (it must be the one that `run.model` names).
    log_every: steps between two lines of metrics.jsonl. save_seconds: time between two checkpoints
    (one is also written at each evaluation). model_parallel: with several devices, over how many
    each weight is split; the rows of a batch are split over the rest.
    Raises `stop.Interrupted` after SIGTERM, SIGUSR1 or SIGINT, having saved; UserError for bad
    input and for a loss that is not finite.
    """
    if isinstance(runs, Run):
        return train([runs], out, t5=t5, quiet=quiet, log_every=log_every,
                     save_seconds=save_seconds, model_parallel=model_parallel)[0]  # fmt: skip
    if not runs:
        raise UserError("there are no runs to train")
    if log_every < 1:
        raise UserError(f"log_every must be at least 1, not {log_every}")
    if t5 is not None and t5.name != runs[0].model:
        raise UserError(f"the model in memory is {t5.name}, but the runs name {runs[0].model}")
    if t5 is not None and t5.quantized != (runs[0].dtype == "int8"):
        raise UserError(
            f"the model in memory is {'' if t5.quantized else 'not '}int8, but the runs' dtype is "
            f"{runs[0].dtype}"
        )
    asked = runs[0].dtype
    if t5 is not None and asked not in (None, "int8") and t5.dtype != jnp.dtype(asked):
        raise UserError(f"the model in memory is {t5.dtype}, but the runs' dtype is {asked}")
    if len({run.id for run in runs}) < len(runs):
        raise UserError("the same run is listed twice")
    if len({population_key(run) for run in runs}) > 1:
        raise UserError(
            "these runs cannot share one program: they differ in more than "
            + ", ".join(sorted(OWN_FIELDS))
        )
    directories = [pathlib.Path(out) / run.id for run in runs]
    with contextlib.ExitStack() as held:
        for directory in directories:
            held.enter_context(lock(directory))
        todo = [n for n, d in enumerate(directories) if not (d / "result.json").exists()]
        if todo and t5 is None:
            t5 = load_t5(runs[0].model, runs[0].revision, runs[0].dtype,
                         tokenizer=runs[0].tokenizer)  # fmt: skip
        for n in set(range(len(runs))) - set(todo):
            check_finished(runs[n], directories[n], t5)
        if todo and t5 is not None:
            mesh = make_mesh(model_parallel)
            t5 = dataclasses.replace(t5, params=shard_params(t5.params, mesh))
            data = SharedData(t5)
            members = [Member(runs[n], directories[n], data) for n in todo]
            with plain_disk_errors(pathlib.Path(out)), listen() as stop:
                waiting = members
                while waiting:
                    stop.check()  # one that came while the model or the data were read
                    group = _together(waiting)
                    try:
                        Population(group, t5, mesh, quiet, log_every, save_seconds).train(stop)
                    except checkpoint.Damaged as error:
                        log.warning("%s; going back to the one before", error)
                        continue
                    waiting = [member for member in waiting if member not in group]
            failed = [(m.run.id, step) for m in members if (step := m.progress.failed) is not None]
            if failed:
                raise UserError(
                    "the loss is not finite: "
                    + "; ".join(f"{name} at step {step}" for name, step in failed)
                    + ". Lower the learning rate or use float32"
                )
        return [load_result(directory) for directory in directories]


def _together(members: list[Member]) -> list[Member]:
    """The first run that has not failed, all that can go on from a step with it, and the failed.

    So no run goes back more than one save, which is what a kill inside one may leave runs apart.
    The others go on by themselves, afterwards.
    """
    failed = [member for member in members if failed_step(member) is not None]
    if len(failed) == len(members):  # they are tried again
        failed = []
    going = [member for member in members if member not in failed]
    steps = [checkpoint.starts(member.checkpoints) for member in going]
    common, chosen = steps[0], list(failed)
    for member, own in zip(going, steps, strict=True):
        if common & own:
            common &= own
            chosen.append(member)
    return [member for member in members if member in chosen]
