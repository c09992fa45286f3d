"""R runs over one frozen model in one program: the loop that trains, saves and restores them."""

import dataclasses
import functools
import json
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from prompt_tuning.evaluation.inference import Places
from prompt_tuning.evaluation.jobs import run_jobs
from prompt_tuning.prompts.files import write_json
from prompt_tuning.prompts.table import stack_prompts, virtual_ids
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.model import T5
from prompt_tuning.t5.sharding import shard_params, shard_rows
from prompt_tuning.training import checkpoint, trees
from prompt_tuning.training.batches import Parts, choose_layout, make_batch, padding, stack_batches
from prompt_tuning.training.member import Member, Progress
from prompt_tuning.training.optimizer import make_optimizer
from prompt_tuning.training.records import (
    Display,
    append_jsonl,
    truncate_metrics,
)
from prompt_tuning.training.step import Group, Objective, State, Step
from prompt_tuning.training.stop import StopRequest

log = logging.getLogger(__name__)

SAMPLED = 64  # steps whose batches say how packed batches are laid out
FAILED = "failed.json"  # in the directory of a run whose loss was not finite: the step


class Population:
    """R runs in one program. A single run is a population of one."""

    def __init__(
        self,
        members: list[Member],
        t5: FrozenT5,
        mesh: Mesh,
        quiet: bool,
        log_every: int,
        save_seconds: float,
    ):
        self.members, self.t5, self.mesh, self.log_every = members, t5, mesh, log_every
        self.save_seconds, self.quiet = save_seconds, quiet
        self.run = run = members[0].run  # of the shared fields
        params = [member.params() for member in members]
        self.labels = trees.label_tree(params[0], run.method)
        split = [trees.split(tree, self.labels) for tree in params]
        self.frozen = split[0][1]
        self.groups = _groups(members)
        self.rates = [
            (np.array(g.learning_rates, np.float32), np.array(g.weight_decays, np.float32))
            for g in self.groups
        ]
        model = T5(t5.config, t5.dtype, run.dropout, run.remat, run.fused_attention)
        self.objective = Objective(model, run.z_loss, run.loss, run.micro_batches)
        trainable = [trees.stack([split[r][0] for r in g.members]) for g in self.groups]
        optimizer = [
            jax.vmap(make_optimizer(g.optimizer, self.labels).init)(tree)
            for g, tree in zip(self.groups, trainable, strict=True)
        ]
        self.state = self.placed(0, trainable, optimizer)
        self.table_rows = max((len(m.start.array) for m in members if m.start), default=0)
        kinds, structure = jax.tree.flatten(self.labels)
        self.step = _compiled_step(self.objective, _rateless(self.groups), tuple(kinds), structure)
        self.layout = None
        self.mixed = run.mixes and len(members) > 1
        if run.packing and run.steps:
            # One for all runs, from many batches: few compiled shapes.
            some = [
                [[member.sizes(n) for n in member.examples(step)] for member in members]
                for step in range(min(run.steps, SAMPLED))
            ]
            if self.mixed:
                some = [[[size for sizes in runs for size in sizes]] for runs in some]
            # Rows of one run only: what is not finite in it spreads over a row.
            self.layout = choose_layout(
                some, t5.config.d_model, mesh.shape["data"], packed=not self.mixed
            )
        self.keys = jnp.stack([jax.random.key(member.run.seed) for member in members])
        self.pending: list[tuple[int, Any]] = []  # steps whose metrics are still on the device
        self.window: list[dict[str, list[float]]] = []  # of the steps since the last log line
        self.timed = 0  # steps of this process since then
        self.saved_at = time.monotonic()
        self.facts: dict[str, float] = {}  # on display: means over runs

    def train(self, stop: StopRequest) -> None:
        run = self.run
        for member in self.members:  # before a checkpoint of other data or another model is read
            member.check_unchanged()
        start = self.restore()
        for member in self.members:
            member.write_config()
            truncate_metrics(member.metrics_path, start if run.steps else -1)
        title = run.id if len(self.members) == 1 else f"{len(self.members)} runs"
        display = Display(title, run.steps, start, self.quiet)
        fold = jax.jit(lambda keys, step: jax.vmap(lambda k: jax.random.fold_in(k, step))(keys))
        clock, done = time.monotonic(), start
        try:
            if run.steps == 0:
                self.evaluate(0)
            for step in range(start, run.steps):
                if not any(member.active for member in self.members):
                    break
                (batch, facts), keys = self.batch(step), fold(self.keys, step)
                rows = shard_rows(batch, self.mesh, axis=0 if self.mixed else 1)
                self.state, metrics = self.step(self.state, self.frozen, rows, keys, self.rates)
                self.pending.append((step + 1, {**metrics, **facts}))
                self.timed += 1
                self.read_metrics(keep=1)
                done = step + 1
                last = done == run.steps
                stopping = stop.signal is not None
                if logging_now := done % self.log_every == 0 or last:
                    self.read_metrics()
                    now = time.monotonic()
                    self.log_lines(done, now - clock)
                    clock = now
                if evaluating := done % run.eval_every == 0 or last:
                    self.read_metrics()
                    if not any(member.active for member in self.members):
                        break
                    began = time.monotonic()
                    self.evaluate(done)
                    self.save(done)
                    clock += time.monotonic() - began
                elif stopping or self.save_is_due():
                    self.read_metrics()
                    self.save(done)
                if logging_now or evaluating:
                    display.step(done, self.facts, force=evaluating)
                if stopping:  # not one that came since: it would be told of a save that was not
                    stop.check()
        finally:
            display.close()
        self.finish(done)

    def placed(self, step: int, trainable: list[Any], optimizer: list[Any]) -> State:
        """The train state on the devices: tuned weights split like frozen ones, the rest whole."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        return State(
            jax.device_put(jnp.int32(step), whole),
            [shard_params(tree, self.mesh, leading=1) for tree in trainable],
            jax.device_put(optimizer, whole),
        )

    def batch(self, step: int) -> tuple[Parts, dict[str, np.ndarray]]:
        """All runs' batches of a step in parts, `[R, B, ...]`, or `[B, ...]` if mixed; and of each
        run `tokens` (prompts and targets included), and `padding`, the share of all runs' inputs.
        """
        ids = {"start_id": self.t5.config.decoder_start_id, "pad_id": self.t5.config.pad_id}
        pairs = []
        for r, member in enumerate(self.members):
            numbers = member.examples(step)
            virtual = self.virtual(member, r if self.mixed else 0)
            inputs = [member.train.rows[n].with_prompt(virtual) for n in numbers]
            pairs.append((inputs, [member.train.targets[n] for n in numbers]))
        if self.mixed:
            inputs, targets = ([x for pair in pairs for x in pair[side]] for side in (0, 1))
            runs = [r for r, (own, _) in enumerate(pairs) for _ in own]
            parts = make_batch(inputs, targets, self.layout, runs=runs, **ids)
        else:
            parts = stack_batches([make_batch(*pair, self.layout, **ids) for pair in pairs], **ids)
        tokens = np.array([sum(len(x) for side in pair for x in side) for pair in pairs])
        return parts, {"tokens": tokens, "padding": np.full(len(pairs), padding(parts))}

    def virtual(self, member: Member, prompt: int = 0) -> list[int]:
        """The ids of a member's prompt as number `prompt` of a table."""
        if member.start is None:
            return []
        length = len(member.start.array)
        return virtual_ids(self.t5.config.vocab_size, length, prompt, self.table_rows)

    def read_metrics(self, keep: int = 0) -> None:
        """Fetch the metrics of finished steps; a run whose loss is not finite ends there."""
        while len(self.pending) > keep:
            step, metrics = self.pending.pop(0)
            values = {name: np.asarray(value).tolist() for name, value in metrics.items()}
            self.window.append(values)
            for r, member in enumerate(self.members):
                if member.active and not math.isfinite(values["loss"][r]):
                    member.progress.failed = step
                    reason = f"the loss is not finite at step {step}"
                    write_json(member.directory / FAILED, {"step": step, "reason": reason})
                    log.error("%s: the loss is not finite at step %d", member.run.id, step)

    def log_lines(self, step: int, seconds: float) -> None:
        """One line of metrics for every run, averaged over the steps since the one before."""
        if not self.window:
            return
        rate = self.timed * self.run.batch_size / max(seconds, 1e-9)
        share = seconds / max(sum(member.active for member in self.members), 1)
        for r, member in enumerate(self.members):
            if not member.active:
                continue
            row: dict[str, Any] = {"step": step, "kind": "train"}
            for name in self.window[0]:
                row[name] = float(np.mean([values[name][r] for values in self.window]))
            row["examples_per_second"] = rate
            row["tokens_per_second"] = rate * row["tokens"] / self.run.batch_size
            member.progress.seconds += share
            row["seconds"] = member.progress.seconds  # its share of training, without evaluations
            append_jsonl(member.metrics_path, row)
        losses = [v["loss"][r] for v in self.window for r, m in enumerate(self.members) if m.active]
        if losses:
            self.facts["loss"] = float(np.mean(losses))
        self.facts["examples/s"] = rate * len(self.members)
        self.window, self.timed = [], 0

    def evaluate(self, step: int) -> None:
        """Score every active run on its dev split; prompts share batches, models cannot."""
        active = [(member, tree) for member, tree in self.trainables() if member.active]
        places = Places()
        if self.run.method == "model":
            outputs = []
            for member, tree in active:
                weights = jax.tree.map(lambda x: x.astype(self.t5.dtype), tree["model"])
                tuned = dataclasses.replace(self.t5, params=weights)
                outputs += run_jobs(tuned, [member.job(())], places=places)
        else:
            tables = [np.asarray(tree["prompt"]["table"]) for _, tree in active]
            table = stack_prompts(tables, self.table_rows)
            jobs = [member.job(self.virtual(member, n)) for n, (member, _) in enumerate(active)]
            outputs = run_jobs(self.t5, jobs, table, places=places)
        padding = 1 - places["used"] / max(places["all"], 1)
        for (member, tree), texts in zip(active, outputs, strict=True):
            scores = member.task.score(member.dev.examples, texts)
            member.record(step, scores, texts, tree, padding)
        best = [m.progress.best for m in self.members if m.progress.best is not None]
        self.facts["best score"] = float(np.mean(best))

    def trainables(self) -> list[tuple[Member, Any]]:
        """Every run with its own trainable tree."""
        return [
            (self.members[r], trees.take(stacked, n))
            for group, stacked in zip(self.groups, self.state.trainable, strict=True)
            for n, r in enumerate(group.members)
        ]

    def save_is_due(self) -> bool:
        return time.monotonic() - self.saved_at > self.save_seconds

    def save(self, step: int) -> None:
        """A checkpoint of every run in its own directory."""
        window = {name: [v[name] for v in self.window] for name in (self.window or [{}])[0]}
        for group, trainable, optimizer in zip(
            self.groups, self.state.trainable, self.state.optimizer, strict=True
        ):
            for n, r in enumerate(group.members):
                member = self.members[r]
                if member.progress.failed is not None:
                    continue  # its last sound checkpoint stays
                tree = {
                    "trainable": trees.take(trainable, n),
                    "optimizer": trees.take(optimizer, n),
                }
                meta = {
                    "step": step,
                    "seed": member.run.seed,
                    "progress": dataclasses.asdict(member.progress),
                    "window": {name: [v[r] for v in values] for name, values in window.items()},
                }
                checkpoint.save(member.checkpoints, step, tree, meta)
        self.saved_at = time.monotonic()

    def restore(self) -> int:
        """Go on from the latest step that every run has a checkpoint of, or from 0.

        Raises `checkpoint.Damaged` where one of these cannot be used.
        """
        failed = {m: step for m in self.members if (step := failed_step(m)) is not None}
        if len(failed) == len(self.members):  # they are tried again
            failed = {}
        for member in self.members:
            member.progress.failed = failed.get(member)
            if member not in failed:  # a failure of another kind, such as a worker's death
                (member.directory / FAILED).unlink(missing_ok=True)
        going = [m for m in self.members if m.active]
        common = set.intersection(*(set(checkpoint.steps(m.checkpoints)) for m in going))
        step = max(common, default=0)
        if common:
            self.load(step)
        for member in going:
            if later := checkpoint.drop_after(member.checkpoints, step):
                log.warning(
                    "%s goes on from step %d, not %d: not all runs trained with it had come so far",
                    *(member.run.id, step, later[-1]),
                )
        return step

    def load(self, step: int) -> None:
        loaded: list[dict[str, Any]] = [{}] * len(self.members)
        for group, trainable, optimizer in zip(
            self.groups, self.state.trainable, self.state.optimizer, strict=True
        ):
            for n, r in enumerate(group.members):
                like = {
                    "trainable": trees.take(trainable, n),
                    "optimizer": trees.take(optimizer, n),
                }
                loaded[r] = like
                if self.members[r].progress.failed is None:
                    tree, meta = checkpoint.load(self.members[r].checkpoints, step, like)
                    loaded[r] = {**tree, **meta}
        self.state = self.placed(
            step,
            [trees.stack([loaded[r]["trainable"] for r in g.members]) for g in self.groups],
            [trees.stack([loaded[r]["optimizer"] for r in g.members]) for g in self.groups],
        )
        for member, values in zip(self.members, loaded, strict=True):
            if "progress" in values:
                member.progress = Progress(**values["progress"])
        known = next(values["window"] for values in loaded if "window" in values)
        windows = [values.get("window", known) for values in loaded]  # a failed run logs nothing
        length = len(next(iter(known.values()), []))
        self.window = [
            {name: [window[name][i] for window in windows] for name in known} for i in range(length)
        ]

    def finish(self, step: int) -> None:
        """The last prompts and the results of the runs that have not failed."""
        for member, tree in self.trainables():
            if member.active:  # a run that ended early saved it then
                member.save(tree, step, "last")
        for member in self.members:
            if member.progress.failed is None:
                member.finish(step)


@functools.lru_cache(maxsize=16)
def _compiled_step(
    objective: Objective, groups: tuple[Group, ...], kinds: tuple[str, ...], structure: Any
) -> Step:
    """The jitted step: populations that differ in data, seeds and rates only share its program."""
    labels = jax.tree.unflatten(structure, kinds)
    return Step(objective, groups, labels)


def failed_step(member: Member) -> int | None:
    """The step whose loss was not finite, if that is how a run ended."""
    try:
        return json.loads((member.directory / FAILED).read_text(encoding="utf-8")).get("step")
    except (FileNotFoundError, ValueError):
        return None


def _rateless(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups as far as the program depends on them: rates are arguments of the step."""
    return tuple(dataclasses.replace(g, learning_rates=(), weight_decays=()) for g in groups)


def _groups(members: Sequence[Member]) -> list[Group]:
    """Runs of equal prompt length and equal optimiser settings, the two rates apart."""
    grouped: dict[Any, list[int]] = {}
    for r, member in enumerate(members):
        rows = 0 if member.start is None else len(member.start.array)
        settings = dataclasses.replace(member.run.optimizer, learning_rate=0.0, weight_decay=0.0)
        grouped.setdefault((rows, settings), []).append(r)
    return [
        Group(
            tuple(runs),
            settings,
            tuple(members[r].run.optimizer.learning_rate for r in runs),
            tuple(members[r].run.optimizer.weight_decay for r in runs),
        )
        for (_, settings), runs in grouped.items()
    ]
