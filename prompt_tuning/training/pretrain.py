"""`pretrain`: a T5 from scratch by span corruption, or its LM adaptation, exactly resumable."""

import functools
import json
import logging
import math
import os
import pathlib
import shutil
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_json
from prompt_tuning.t5.load import FrozenT5, save_t5
from prompt_tuning.t5.model import T5
from prompt_tuning.t5.runtime import reuse_memory
from prompt_tuning.training import checkpoint, trees
from prompt_tuning.training.batches import Batch, ahead
from prompt_tuning.training.corpus import Corpus, Document, load_corpus, source_name
from prompt_tuning.training.model_card import model_card, tree_sha256, write_card
from prompt_tuning.training.optimizer import make_optimizer
from prompt_tuning.training.pretraining import Pretraining, make_batch, starting_model
from prompt_tuning.training.records import (
    Display,
    append_jsonl,
    environment,
    lock,
    plain_disk_errors,
    truncate_metrics,
)
from prompt_tuning.training.step import Group, Objective, State, train_step
from prompt_tuning.training.stop import StopRequest, listen
from prompt_tuning.training.validation import Validation, sentinel_ids

log = logging.getLogger(__name__)


def pretrain(
    config: Pretraining,
    out: str | os.PathLike[str],
    *,
    document: Document | None = None,
    cache: str | os.PathLike[str] | None = None,
    workers: int = 0,
    command: str | None = None,
    quiet: bool = False,
    log_every: int = 50,
    save_seconds: float = 300.0,
) -> pathlib.Path:
    """Pre-train (or adapt) a T5 and return its Hugging Face folder, `out/config.id/model`.

    The directory also holds metrics.jsonl, checkpoints, a folder step-N for each of `keep_steps`
    but the last step, and result.json once all is done. A finished run is not repeated; an
    interrupted one goes on where it was, to the same end. Every model has its tokenizer and a
    model card. Raises UserError for a run that was begun with other text, tokenizer or start.

    document: a pure function (seed, index) -> text, where `config.text` names no files.
    cache: a folder for tokenised text, shared by all runs (default: out/tokenised).
    workers: processes that generate and tokenise documents; 0 is this one.
    command: what made the model, for its card.
    log_every: steps between two lines of metrics.jsonl. save_seconds: time between two checkpoints
    (one is also written at each evaluation). Raises `stop.Interrupted` after SIGTERM, SIGUSR1 or
    SIGINT, having saved; UserError for bad input and for a loss that is not finite.
    """
    directory = pathlib.Path(out) / config.id
    with lock(directory):
        finished = (directory / "result.json").exists()
        reuse_memory()
        t5 = starting_model(config)
        load = functools.partial(
            load_corpus,
            config.text,
            tokenizer=t5.tokenizer,
            document=document,
            eos_id=t5.config.eos_id,
            cache=pathlib.Path(cache or pathlib.Path(out) / "tokenised"),
            workers=workers,
            quiet=quiet,
        )
        with plain_disk_errors(pathlib.Path(out)):
            # What a generator makes is known by its name and the little that is held out.
            corpus = load("train") if config.text.files or not finished else None
            held_out = load("held_out")
            inputs = _inputs(config, t5, corpus, held_out, source_name(config.text, document))
            if finished or corpus is None:
                _check_inputs(directory, inputs)
            else:
                run = Pretrainer(config, directory, t5, corpus, held_out, inputs)
                run.command, run.quiet = command, quiet
                run.log_every, run.save_seconds = log_every, save_seconds
                with listen() as stop:
                    run.train(stop)
    return directory / "model"


def _inputs(
    config: Pretraining, t5: FrozenT5, corpus: Corpus | None, held_out: Corpus, source: str
) -> dict[str, Any]:
    """What goes in beside the configuration, for the manifest and the model card."""
    text: dict[str, Any] = {"source": source}
    for prefix, part in (("", corpus), ("held_out_", held_out)):
        if part is not None:
            text[f"{prefix}documents"] = len(part.ends)
            text[f"{prefix}sha256"] = part.sha256
    if corpus is not None:
        text["tokens"] = len(corpus.tokens)
    start = None
    if config.start is not None:
        start = {"name": config.without_places()["start"], "sha256": tree_sha256(t5.params)}
    tokenizer = {"pieces": t5.tokenizer.size, "sha256": t5.tokenizer.hash}
    return {"text": text, "tokenizer": tokenizer, "start": start}


def _check_inputs(directory: pathlib.Path, inputs: dict[str, Any]) -> None:
    """Raises UserError if a run was begun with other text, tokenizer or start than these."""
    before = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    for name, value in inputs.items():
        known = before[name]
        if known != value and (name != "text" or known != known | value):
            raise UserError(
                f"{directory} was begun with another {name} than now: give it what it had, or "
                "train in another folder"
            )


class Pretrainer:
    """The state of one run; the step is that of a population of one."""

    command: str | None = None
    quiet, log_every, save_seconds = False, 50, 300.0

    def __init__(
        self,
        config: Pretraining,
        directory: pathlib.Path,
        t5: FrozenT5,
        corpus: Corpus,
        held_out: Corpus,
        inputs: dict[str, Any],
    ):
        self.config, self.directory, self.t5, self.corpus = config, directory, t5, corpus
        self.inputs = inputs
        self.sentinels = sentinel_ids(config, t5.tokenizer)
        self.validation = Validation(config, t5.config, t5.tokenizer, held_out)
        params = {"model": t5.params}
        self.labels = trees.label_tree(params, "model")
        trainable, self.frozen = trees.split(params, self.labels)
        optimizer = config.full_optimizer
        state = make_optimizer(optimizer, self.labels).init(trainable)
        self.state = State(jnp.int32(0), [_lead(trainable)], [_lead(state)])
        model = T5(t5.config, jnp.dtype(config.dtype), config.dropout, config.remat)
        rates = (optimizer.learning_rate,), (optimizer.weight_decay,)
        self.rates = [tuple(np.array(rate, np.float32) for rate in rates)]
        step = functools.partial(
            train_step,
            objective=Objective(model, config.z_loss, "mean", config.micro_batches),
            groups=(Group((0,), optimizer, *rates),),
            labels=self.labels,
        )
        self.step = jax.jit(step, donate_argnums=0)
        self.pending: list[tuple[int, Any]] = []  # steps whose metrics are still on the device
        self.window: list[dict[str, float]] = []  # of the steps since the last log line
        self.progress: dict[str, Any] = {"tokens": 0, "loss": math.nan, "seconds": 0.0}
        self.unlogged = 0  # their tokens
        self.clock = 0.0  # when they began
        self.validated: dict[str, float] = {}  # the latest validation
        self.facts: dict[str, float] = {}  # on display
        self.saved_at = time.monotonic()

    def train(self, stop: StopRequest) -> None:
        config = self.config
        start = self.restore()
        self.check_inputs(start)
        truncate_metrics(self.directory / "metrics.jsonl", start)
        display = Display(config.id, config.steps, start, self.quiet)
        if start:
            display.say(f"{config.id}: going on from step {start}")
        fold = jax.jit(lambda step: jax.random.fold_in(jax.random.key(config.seed), step)[None])
        self.clock += time.monotonic()
        try:
            for step, (batch, tokens) in ahead(self.batch, range(start, config.steps)):
                self.state, metrics = self.step(
                    self.state, self.frozen, batch, fold(step), self.rates
                )
                self.pending.append((step + 1, metrics))
                self.read_metrics(keep=1)
                self.progress["tokens"] += tokens
                self.unlogged += tokens
                done = step + 1
                last = done == config.steps
                stopping = stop.signal is not None
                keeping = done in config.keep_steps and not last
                if logging_now := done % self.log_every == 0 or keeping or last:
                    self.read_metrics()
                    now = time.monotonic()
                    self.log_line(done, now - self.clock)
                    self.clock = now
                if evaluating := done % config.eval_every == 0 or keeping or last:
                    self.read_metrics()
                    began = time.monotonic()
                    self.evaluate(done)
                    if keeping:
                        self.export(done, f"step-{done}")
                    self.clock += time.monotonic() - began
                    self.save(done)
                elif stopping or time.monotonic() - self.saved_at > self.save_seconds:
                    self.read_metrics()
                    self.save(done)
                if logging_now or evaluating:
                    display.step(done, self.facts, force=evaluating)
                if stopping:  # not one that came since: it would be told of a save that was not
                    stop.check()
        finally:
            display.close()
        self.finish()

    def batch(self, step: int) -> tuple[Batch, int]:
        """The batch `[1, B, ...]` of a step, and how many ids it holds on both sides."""
        made = make_batch(
            self.config, self.t5.config, self.corpus, self.sentinels, self.config.seed, step
        )
        tokens = int((made.segments_BT > 0).sum() + (made.target_segments_BU > 0).sum())
        return jax.tree.map(lambda x: x[None], made), tokens

    def read_metrics(self, keep: int = 0) -> None:
        """Fetch the metrics of finished steps; a loss that is not finite ends the run."""
        while len(self.pending) > keep:
            step, metrics = self.pending.pop(0)
            values = {name: float(np.asarray(value)[0]) for name, value in metrics.items()}
            self.window.append(values)
            for name, word in (("loss", "loss"), ("update_rms", "update")):
                if not math.isfinite(values[name]):  # the loss is that before the update
                    raise UserError(
                        f"{self.config.id}: the {word} is not finite at step {step}. Lower the "
                        "learning rate, lengthen the warm-up or use float32"
                    )

    def log_line(self, step: int, seconds: float) -> None:
        """One line of metrics, averaged over the steps since the one before."""
        row: dict[str, Any] = {"step": step, "kind": "train"}
        for name in ("loss", "accuracy", "norm", "update_rms"):
            row[name] = float(np.mean([values[name] for values in self.window]))
        rate = self.unlogged / max(seconds, 1e-9)
        append_jsonl(self.directory / "metrics.jsonl", {**row, "tokens_per_second": rate})
        self.progress["loss"] = row["loss"]
        self.progress["seconds"] += seconds
        self.facts |= {"loss": row["loss"], "tokens/s": rate}
        self.window, self.unlogged = [], 0

    def evaluate(self, step: int) -> None:
        self.validated = self.validation.measure(trees.take(self.state.trainable[0], 0)["model"])
        row = {"step": step, "kind": "eval", **self.validated}
        append_jsonl(self.directory / "metrics.jsonl", row)
        self.facts["validation loss"] = self.validated["loss"]

    def export(self, step: int, name: str) -> None:
        """Write the model with its card as a folder of this run: all of it, or nothing."""
        folder, fresh = self.directory / name, self.directory / f".{name}"
        weights = trees.take(self.state.trainable[0], 0)["model"]
        t5 = FrozenT5(self.t5.config, weights, self.t5.tokenizer, self.config.name)
        shutil.rmtree(fresh, ignore_errors=True)  # a kill may have left it
        save_t5(t5, fresh, self.config.save_dtype)
        card = model_card(
            self.config,
            t5,
            fresh,
            step=step,
            progress=self.progress,
            validation=self.validated,
            inputs=self.inputs,
            command=self.command,
        )
        write_card(card, fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)

    def save(self, step: int) -> None:
        began = time.monotonic()
        tree = {"trainable": self.state.trainable[0], "optimizer": self.state.optimizer[0]}
        meta = {
            "step": step,
            "progress": self.progress,
            "validated": self.validated,
            "window": self.window,
            "unlogged": self.unlogged,
            "elapsed": began - self.clock,
        }
        checkpoint.save(self.directory / "checkpoints", step, tree, meta)
        self.saved_at = time.monotonic()
        self.clock += self.saved_at - began

    def restore(self) -> int:
        """Go on from the latest sound checkpoint, or from 0."""
        folder = self.directory / "checkpoints"
        like = {"trainable": self.state.trainable[0], "optimizer": self.state.optimizer[0]}
        for step in reversed(checkpoint.steps(folder)):
            try:
                tree, meta = checkpoint.load(folder, step, like)
            except checkpoint.Damaged as error:
                log.warning("%s; going back to the one before", error)
                continue
            self.state = State(jnp.int32(step), [tree["trainable"]], [tree["optimizer"]])
            self.progress, self.validated = meta["progress"], meta["validated"]
            self.window, self.unlogged = meta["window"], meta["unlogged"]
            self.clock = -meta.get("elapsed", 0.0)
            return step
        return 0

    def check_inputs(self, start: int) -> None:
        """Record what goes in; refuse to go on with other text, tokenizer or start than before."""
        path = self.directory / "manifest.json"
        if start and path.exists():
            _check_inputs(self.directory, self.inputs)
        write_json(self.directory / "pretraining.json", self.config.to_dict())
        write_json(path, {**self.inputs, **environment()})

    def finish(self) -> None:
        """The model, then result.json, whose presence says that all is done."""
        self.export(self.config.steps, "model")
        values = {"steps": self.config.steps, **self.progress}
        write_json(
            self.directory / "result.json",
            {"config": self.config.to_dict(), **values, "validation": self.validated},
        )
        checkpoint.clear(self.directory / "checkpoints")


def _lead(tree: Any) -> Any:
    """The tree as a population of one."""
    return jax.tree.map(lambda x: jnp.asarray(x)[None], tree)
