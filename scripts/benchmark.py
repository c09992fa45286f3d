"""Throughput and memory of prompt tuning, ours against PEFT and against the machine.

    python scripts/benchmark.py                     all parts; writes docs/benchmarks.{json,md}
    python scripts/benchmark.py --only populations --out FOLDER

Both sides have the same weights (T5 1.1 small's shape, random), the same tokenised texts, batch,
type (float32) and threads, and take turns, each in its own process; numbers are medians. Without
the extra `parity` (torch, peft) only ours are measured. Run it on a quiet machine: 20 minutes on
two cores, half as long with `--rounds 1`.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from experiments import pocket
from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.rows import encode_inputs, encode_targets
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import FrozenT5, load_t5, pocket_models, save_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.t5.runtime import plain_cpu_products, reuse_memory
from prompt_tuning.t5.tokenizer import MissingTokenizer, Tokenizer
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.training.batches import Layout, choose_layout, example_numbers
from prompt_tuning.training.loop import train
from prompt_tuning.training.plan import Setup, step_flops
from prompt_tuning.training.population import SAMPLED
from scripts.benchmark_ours import Ids, Ours
from scripts.benchmark_peft import PeftProcess
from scripts.benchmark_report import Row, write

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("PROMPT_TUNING_DATA") or ROOT.parent / "shared" / "data")
PARTS = ("training", "evaluation", "process", "populations")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    model: str = "random:small"  # a name that `load_t5` knows
    tasks: tuple[str, ...] = ("rte", "boolq", "multirc", "wic")  # of SuperGLUE
    only: tuple[str, ...] = PARTS
    batch: int = 32
    length: int = 100  # of the prompt
    input: int = 156  # tokens of the text where shapes are equal: with the prompt a bucket
    limit: int = 512  # tokens of the text where it is real
    rounds: int = 3
    remat: str = "dots"  # of our step; the fastest on a CPU
    examples: int = 64  # in a round of evaluation
    output: int = 8  # tokens generated
    run_steps: int = 100  # of whole runs
    threads: int = os.cpu_count() or 1
    populations: tuple[int, ...] = (1, 4, 16)  # one run is always measured
    population_batches: tuple[int, ...] = (4, 32)  # rows of a step of each run
    out: str = "docs"


@dataclasses.dataclass(frozen=True)
class Texts:
    """Tokenised examples of a task; EOS is at the end of everything."""

    name: str
    inputs: Ids
    targets: Ids
    labels: Ids

    def batch(self, step: int, size: int, cut: int | None = None) -> tuple[Ids, Ids]:
        """The examples of a step; with `cut`, inputs repeated and cut to exactly this length."""
        numbers = example_numbers(0, step, size, len(self.inputs))
        inputs = [self.inputs[n] for n in numbers]
        if cut is not None:
            inputs = [[*(list(ids[:-1]) * cut)[: cut - 1], ids[-1]] for ids in inputs]
        return inputs, [self.targets[n] for n in numbers]

    def layout(self, o: Options, width: int) -> Layout:
        """What a population of one run would choose."""
        batches = [zip(*self.batch(step, o.batch), strict=True) for step in range(SAMPLED)]
        sizes = [[(len(x) + o.length, len(y)) for x, y in batch] for batch in batches]
        return choose_layout([[batch] for batch in sizes], width)


def read_texts(name: str, tokenizer: Tokenizer, limit: int) -> Texts:
    """The validation split of a SuperGLUE task."""
    task = get_task(f"super_glue/{name}", DataConfig("local", str(DATA)))
    examples = task.load("validation", training=False)
    encode = tokenizer.encode_batch
    rows = encode_inputs([e.input for e in examples], encode, max_length=limit).rows
    targets, _ = encode_targets([e.target for e in examples], encode, max_length=16)
    labels, _ = encode_targets(list(task.labels), encode, max_length=16)
    return Texts(name, [row.ids for row in rows], targets, labels)


def measure(calls: dict[str, Callable[[int], Any]], rounds: int) -> dict[str, float]:
    """The median seconds of each call, which takes the round's number; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():  # compiles every shape, warms every cache
        for n in range(rounds):
            call(n)
    for n in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call(n)
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def product(size: int = 2048) -> Callable[[int], Any]:
    """A matrix product of 2 * size**3 operations."""
    x = jnp.ones((size, size), jnp.float32)
    multiply = jax.jit(jnp.matmul)
    return lambda _: multiply(x, x).block_until_ready()


def start_prompts(t5: FrozenT5, length: int, runs: int = 1) -> list[np.ndarray]:
    """Random prompts, float32 `[length, d_model]`."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, t5.config.d_model)).astype(np.float32) for _ in range(runs)]


def always(call: Callable[..., Any], *args: Any) -> Callable[[int], Any]:
    """The same call in every round."""
    return lambda _: call(*args)


def steps(side: Any, text: Texts, size: int, cut: int | None) -> Callable[[int], Any]:
    """A training step in every round, on that round's batch."""
    return lambda n: side.train(*text.batch(n, size, cut))


def training(o: Options, t5: FrozenT5, folder: pathlib.Path, texts: list[Texts]) -> list[Row]:
    """Examples a second: every batch of one shape, and real texts as they come."""
    [prompt], rows = start_prompts(t5, o.length), []
    for text in [None, *texts]:
        cut = o.input if text is None else None
        text = text or texts[0]
        layout = None if cut else text.layout(o, t5.config.d_model)
        ours = Ours(t5, [prompt], o.remat, layout)
        calls = {"ours": steps(ours, text, o.batch, cut)}
        with contextlib.ExitStack() as held:
            if has_peft():
                peft = PeftProcess(folder, prompt, o.batch, o.threads)
                held.enter_context(contextlib.closing(peft))
                calls["peft"] = steps(peft, text, o.batch, cut)
                mine, its = (side.train(*text.batch(0, o.batch, cut)) for side in (ours, peft))
                if abs(mine - its) > 1e-3 * abs(its):
                    raise UserError(f"the two sides do not compute the same: losses {mine}, {its}")
            if cut:
                calls["product"] = product()
            seconds = measure(calls, o.rounds)
        title = f"training, input {cut}" if cut else f"training, {text.name}"
        rates = {side: o.batch / seconds[side] for side in ("ours", "peft") if side in seconds}
        rows.append(Row(title, "examples/s", rates["ours"], rates.get("peft")))
        if cut:
            target = max(len(ids) for ids in text.targets)
            setup = Setup(batch=o.batch, length=o.length, input=cut, target=target,
                          dtype="float32", remat="none")  # fmt: skip
            speed = step_flops(t5.config, setup) / seconds["ours"] / 1e9
            best = 2 * 2048**3 / seconds["product"] / 1e9
            rows.append(Row("products of a training step, against one of 2048 x 2048", "GFLOP/s",
                            speed, best))  # fmt: skip
        print("\n".join(row.line() for row in rows[-1 - bool(cut) :]), flush=True)
    return rows


def evaluation(o: Options, t5: FrozenT5, folder: pathlib.Path, texts: list[Texts]) -> list[Row]:
    """Examples a second of label scoring, and of generation on the first task."""
    [prompt], rows = start_prompts(t5, o.length), []
    sides: dict[str, Any] = {"ours": Ours(t5, [prompt])}
    if has_peft():
        sides["peft"] = PeftProcess(folder, prompt, o.batch, o.threads)
    for text in texts:
        inputs = text.batch(0, o.examples)[0]
        work: dict[str, Callable[[Any], Any]] = {
            f"scoring, {text.name}": lambda side, i=inputs, t=text: side.score(i, t.labels)
        }
        if text is texts[0]:
            title = f"generation of {o.output} tokens, {text.name}"
            work[title] = lambda side, i=inputs: side.generate(i, o.output)
        for title, call in work.items():
            found = [call(side) for side in sides.values()]
            # Greedy ids may part at a near tie; scores may not.
            if "scoring" in title and not np.allclose(found[0], found[-1], rtol=1e-3, atol=1e-3):
                raise UserError(f"{title}: the two sides do not compute the same")
            calls = {name: always(call, side) for name, side in sides.items()}
            seconds = measure(calls, o.rounds)
            rates = {side: o.examples / value for side, value in seconds.items()}
            rows.append(Row(title, "examples/s", rates["ours"], rates.get("peft")))
            print(rows[-1].line(), flush=True)
    if "peft" in sides:
        sides["peft"].close()
    return rows


def process(o: Options, t5: FrozenT5, folder: pathlib.Path, texts: list[Texts]) -> list[Row]:
    """Peak memory and time to the first step, each in a fresh process at equal shapes."""
    inputs, targets = texts[0].batch(0, o.batch, o.input)
    (folder / "batch.json").write_text(json.dumps([inputs, targets]), encoding="utf-8")

    def child(side: str, remat: str = o.remat, cache: str = "") -> dict[str, float]:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
        environment["JAX_ENABLE_COMPILATION_CACHE"] = "true" if cache else "false"
        words = [side, str(folder), remat, str(o.length), str(o.threads), str(time.time())]
        program = str(ROOT / "scripts" / "benchmark_process.py")
        done = subprocess.run([sys.executable, program, *words], env=environment, check=True,
                              capture_output=True, text=True)  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])

    with tempfile.TemporaryDirectory() as cache:
        cold, warm = child("ours", cache=cache), child("ours", cache=cache)
    saving = child("ours", "full")
    theirs = child("peft") if has_peft() else {}
    seconds, peak = theirs.get("seconds"), theirs.get("peak")
    return printed([
        Row("from start to first step, nothing cached", "s", cold["seconds"], seconds),
        Row("from start to first step, second start", "s", warm["seconds"], seconds),
        Row(f"peak memory of a step, remat {o.remat}", "MiB", cold["peak"], peak),
        Row("peak memory of a step, remat full", "MiB", saving["peak"], peak),
    ])  # fmt: skip


def populations(o: Options, t5: FrozenT5, folder: pathlib.Path, texts: list[Texts]) -> list[Row]:
    """Runs trained together against one after the other; on a CPU, of the smallest model."""
    length, total = 20, 64
    if jax.default_backend() != "cpu":
        small, length, total = t5, o.length, o.length + o.input
    elif pocket_models():
        small = load_t5(pocket_models()[0])
    else:
        config = T5Config(vocab_size=1024, d_model=32, d_ff=64, num_layers=2, num_decoder_layers=2,
                          num_heads=2, d_kv=16)  # fmt: skip
        small = FrozenT5(config, init_params(config), MissingTokenizer("tiny", 1024), "tiny")
    rng = np.random.default_rng(0)
    sizes = sorted({1, *o.populations})
    sides = {R: Ours(small, start_prompts(small, length, R)) for R in sizes}
    name, rows = small.name if small.name != "tiny" else "a tiny T5", []
    for batch in o.population_batches:
        inputs = rng.integers(2, small.config.vocab_size, (batch, total - length)).tolist()
        targets = rng.integers(2, small.config.vocab_size, (batch, 2)).tolist()
        calls = {str(R): always(side.train, inputs, targets) for R, side in sides.items()}
        seconds = measure(calls, o.rounds)
        rows += printed([
            Row(f"{R} runs of {name} together, steps of {batch} x {total} ids", "steps of runs/s",
                R / seconds[str(R)], 1 / seconds["1"])
            for R in sizes
        ])  # fmt: skip
    return rows + (whole_runs(o) if pocket_models() else [])


def whole_runs(o: Options) -> list[Row]:
    """Runs of the pocket study's smallest model, from start to result, evaluations included."""
    R, settings = max(o.populations), {"steps": o.run_steps, "eval_every": -(-o.run_steps // 4)}
    runs = [pocket.prompt("pocket/topic", "xs", seed, **settings) for seed in range(R)]
    t5 = load_t5(runs[0].model)
    ways = {"together": [runs], "alone": [[run] for run in runs]}
    seconds: dict[str, float] = {}
    for name in ("first", *ways):  # the first compiles
        groups = [runs, runs[:1]] if name == "first" else ways[name]
        with tempfile.TemporaryDirectory() as out:
            began = time.perf_counter()
            for n, group in enumerate(groups):
                train(group, pathlib.Path(out, str(n)), t5=t5, quiet=True)
            seconds[name] = time.perf_counter() - began
    return printed([
        Row(f"{R} whole runs of {t5.name} together, {o.run_steps} steps of {runs[0].batch_size}",
            "runs/s", R / seconds["together"], R / seconds["alone"])
    ])  # fmt: skip


def printed(rows: list[Row]) -> list[Row]:
    """The rows, as they are measured."""
    print("\n".join(row.line() for row in rows), flush=True)
    return rows


def has_peft() -> bool:
    """Whether the other side can be measured."""
    return all(importlib.util.find_spec(name) for name in ("torch", "peft"))


def benchmark(o: Options, texts: list[Texts] | None = None) -> list[Row]:
    """All rows asked for. `texts` replace the tasks."""
    t5 = load_t5(o.model, dtype=None if jax.default_backend() == "cpu" else "bfloat16",
                 tokenizer=DATA / "t5" / "spiece.model" if texts is None else None)  # fmt: skip
    if texts is None:
        texts = [read_texts(name, t5.tokenizer, o.limit) for name in o.tasks]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "model"
        save_t5(t5, folder, "float32")
        for part in (training, evaluation, process, populations):
            if part.__name__ in o.only:
                rows += part(o, t5, folder, texts)
    return rows


def main() -> int:
    plain_cpu_products()  # as the command line does
    reuse_memory()
    o = tyro.cli(Options, description=(__doc__ or "").splitlines()[0])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: o.threads])
    try:
        write(benchmark(o), o, pathlib.Path(o.out))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
