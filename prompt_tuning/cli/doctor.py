"""`prompt-tuning doctor`: what is wrong with a set-up, and how to mend it."""

import functools
import importlib.metadata
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from prompt_tuning.cli.train import read_user_task
from prompt_tuning.errors import UserError
from prompt_tuning.prompts.table import embed
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import load_t5
from prompt_tuning.t5.model import T5, apply, count_params, init_params
from prompt_tuning.t5.tokenizer import MissingTokenizer, load_tokenizer
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.training.run import Run

GIB = 2**30
_TFDS = DataConfig()


class Finding(NamedTuple):
    """One line of the report; what is not ok says how to mend it."""

    state: Literal["ok", "warn", "fail"]
    text: str


def doctor(
    out: pathlib.Path = pathlib.Path("runs"),
    model: str | None = None,
    tokenizer: pathlib.Path | None = None,
    task: str | None = None,
    user_task: pathlib.Path | None = None,
    data: DataConfig = _TFDS,
    hub: bool = False,
) -> int:
    """Check versions, devices, numerics and disk; a model, tokenizer and task if they are named.

    Each line begins with ok, warn or fail; the exit status is 1 if anything fails.

    Args:
        out: the folder where runs will be written.
        model: a folder, pocket:SIZE or random:SIZE to load; a hub id is looked up with --hub only.
        tokenizer: a folder or file to load.
        task: a task whose data are read, such as super_glue/rte.
        user_task: a task of your own to read: a JSON file with the fields of UserTask.
        data: where the data of --task come from.
        hub: ask the Hugging Face hub whether it can be reached and has the model.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [versions, devices, numerics]
    checks.append(lambda: disk(out))
    if model is not None:
        checks.append(lambda: usable_model(model, hub))
    elif hub:
        checks.append(lambda: on_hub("google-t5/t5-small"))
    if tokenizer is not None:
        checks.append(lambda: usable_tokenizer(tokenizer))
    if task is not None or user_task is not None:
        checks.append(lambda: usable_task(task, user_task, data))
    findings = []
    for check in checks:
        try:
            for finding in check():
                findings.append(finding)
                print(f"{finding.state:<4}  {finding.text}", flush=True)
        except UserError as error:
            findings.append(Finding("fail", str(error)))
            print(f"fail  {error}", flush=True)
    failed = sum(finding.state == "fail" for finding in findings)
    warned = sum(finding.state == "warn" for finding in findings)
    print(f"{failed} failures, {warned} warnings" if failed or warned else "all is well")
    return int(failed > 0)


def versions() -> Iterator[Finding]:
    """Python and every required package, against what this package declares."""
    try:
        about = importlib.metadata.metadata("prompt-tuning")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("warn", "prompt-tuning is not installed, only imported: `pip install -e .`")
        return
    python, wanted = platform.python_version(), SpecifierSet(about["Requires-Python"] or "")
    if wanted.contains(python):
        yield Finding("ok", f"Python {python}")
    else:
        yield Finding("fail", f"Python {python}, needed is {wanted}: make a new environment")
    wrong = 0
    for line in importlib.metadata.requires("prompt-tuning") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        problem = _unmet(requirement)
        if problem is not None:
            wrong += 1
            yield Finding("fail", f"{problem}: `pip install '{requirement}'`")
    if not wrong:
        names = ("jax", "flax", "optax", "orbax-checkpoint", "transformers", "tensorflow-datasets")
        found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
        yield Finding("ok", f"all required packages: {found}")


def _unmet(requirement: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"{requirement.name} {version} is outside {requirement.specifier}"


def devices() -> Iterator[Finding]:
    """What JAX computes on."""
    try:
        found = jax.devices()
    except RuntimeError as error:
        raise UserError(
            f"JAX finds no device ({str(error).splitlines()[0]}): mend the driver, or set "
            "JAX_PLATFORMS=cpu"
        ) from error
    kinds = ", ".join(sorted({device.device_kind for device in found}))
    yield Finding("ok", f"{jax.default_backend()}: {len(found)} x {kinds}")
    idle = pathlib.Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    if jax.default_backend() == "cpu" and idle:
        yield Finding(
            "warn", "there is an NVIDIA GPU, but JAX is on the CPU: install the extra cuda12 or "
            "cuda13, and check JAX_PLATFORMS"
        )  # fmt: skip


def numerics() -> Iterator[Finding]:
    """A tiny T5 in both types: a prompt of token embeddings must give the logits of the tokens, and
    the gradient to it must be the slope of the loss.
    """
    config = T5Config(128, 16, 8, 32, num_layers=1, num_decoder_layers=1, num_heads=2)
    params = jax.jit(lambda: init_params(config))()
    table_VD = params["token_embedder"]["embedding"]
    text, head = jnp.asarray([[7, 8, 9, 1]]), jnp.asarray([[5, 6]])
    virtual = config.vocab_size + jnp.arange(2)[None, :]
    targets = jnp.asarray([[4, 1]])

    def logits(prompt_PD: jax.Array, ids: jax.Array, dtype: str) -> jax.Array:
        tree = jax.tree.map(lambda x: x.astype(dtype), params)
        x = embed(tree["token_embedder"]["embedding"], prompt_PD[None], ids)
        ones = jnp.ones(ids.shape, jnp.int32)
        model = T5(config, dtype=jnp.dtype(dtype))
        return apply(model, tree, x, ones, targets, jnp.ones((1, 2), jnp.int32))

    @functools.partial(jax.jit, static_argnums=1)
    def loss(prompt_PD: jax.Array, dtype: str) -> jax.Array:
        logp = jax.nn.log_softmax(logits(prompt_PD, jnp.hstack([virtual, text]), dtype))
        return -jnp.take_along_axis(logp, targets[:, :, None], -1).mean()

    prompt_PD = table_VD[head[0]]
    run = jax.jit(logits, static_argnums=2)
    as_tokens = run(prompt_PD, jnp.hstack([head, text]), "float32")
    for dtype, tolerance in (("float32", 0.01), ("bfloat16", 0.1)):
        as_prompt = run(prompt_PD, jnp.hstack([virtual, text]), dtype)
        gap = float(jnp.abs(as_tokens - as_prompt).max() / jnp.abs(as_tokens).max())
        gradient_PD = jax.jit(jax.grad(loss), static_argnums=1)(prompt_PD, dtype)
        norm = jnp.linalg.norm(gradient_PD)
        step_PD = 0.01 * gradient_PD / norm
        rise = loss(prompt_PD + step_PD, "float32") - loss(prompt_PD - step_PD, "float32")
        slope_gap = abs(float(rise / (0.02 * norm)) - 1)
        if gap <= tolerance and slope_gap <= tolerance:
            slow = dtype == "bfloat16" and jax.default_backend() == "cpu"
            note = " (works; on a CPU float32 is faster)" if slow else ""
            yield Finding("ok", f"forward and gradient in {dtype}{note}")
        else:
            yield Finding(
                "fail" if dtype == "float32" else "warn",
                f"wrong numbers in {dtype} (logits off by {gap:.2g}, gradient by {slope_gap:.2g}): "
                + ("reinstall jax and jaxlib" if dtype == "float32" else "use --dtype float32"),
            )


def disk(out: pathlib.Path) -> Iterator[Finding]:
    """Whether results can be written; nothing is left behind."""
    folder = pathlib.Path(os.path.expanduser(out)).absolute()
    folder = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UserError(
            f"cannot write to {folder} ({error.strerror or error}): choose another folder with "
            "--out, or get the permission"
        ) from error
    text = f"{free / GIB:.1f} GiB free for {out}"
    if free < GIB:
        yield Finding("warn" if free > GIB / 10 else "fail", f"{text}: make room")
    else:
        yield Finding("ok", text)


def usable_model(name: str, hub: bool) -> Iterator[Finding]:
    """Load a local model and use its tokenizer; ask the hub about another."""
    local = name.startswith(("random:", "pocket:")) or os.path.exists(os.path.expanduser(name))
    if not local and not name.startswith((".", "/", "~")):
        if hub:
            yield from on_hub(name)
        else:
            yield Finding("warn", f"{name} is no folder here, perhaps a hub id: ask with --hub")
        return
    t5 = load_t5(name)
    size = count_params(t5.config)
    yield Finding("ok", f"model {name}: {size:,} parameters, {t5.dtype}")
    if isinstance(t5.tokenizer, MissingTokenizer):
        yield Finding("warn", f"{name} has no tokenizer: name one with --tokenizer")
    else:
        yield Finding("ok", f"its tokenizer: {t5.tokenizer.size:,} pieces")


def on_hub(name: str) -> Iterator[Finding]:
    """Ask for the model's entry, nothing more."""
    import huggingface_hub

    try:
        commit = huggingface_hub.HfApi().model_info(name, timeout=10).sha
    except Exception as error:  # the library's, the network's and the proxy's own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the hub does not give {name} ({reason}): check the name, the network and HF_TOKEN, "
            "or use a local folder"
        ) from error
    yield Finding("ok", f"the hub has {name}, commit {commit}")


def usable_tokenizer(path: pathlib.Path) -> Iterator[Finding]:
    """Load it and encode a word."""
    tokenizer = load_tokenizer(path)
    pieces = " ".join(tokenizer.pieces(tokenizer.encode("Hello world")))
    yield Finding("ok", f"tokenizer {path}: {tokenizer.size:,} pieces; 'Hello world' is {pieces}")


def usable_task(name: str | None, own: pathlib.Path | None, data: DataConfig) -> Iterator[Finding]:
    """Read every split of a task."""
    fields = None if own is None else read_user_task(str(own))
    task = Run(name or "task", data=data, user_task=fields).get_task()
    for split in task.splits:
        try:
            examples = task.load(split, training=False)
        except UserError as error:
            needed = split in ("train", "validation")
            yield Finding("fail" if needed else "warn", str(error))
        else:
            yield Finding("ok", f"{task.name}, split {split}: {len(examples):,} examples")
