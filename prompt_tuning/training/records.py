"""What a run leaves on disk, and what it shows while it goes on."""

import contextlib
import errno
import fcntl
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import time
from collections.abc import Iterator
from typing import Any

import jax
import rich.console
import rich.progress

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import write_jsonl


class Busy(UserError):
    """Another process holds a run's directory."""


class NoSpace(UserError):
    """The results folder takes no more: no fault of a run."""


def append_jsonl(path: pathlib.Path, row: Any) -> None:
    """Add one line."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def truncate_metrics(path: pathlib.Path, step: int) -> None:
    """Drop what was logged after `step`, or cut off in the middle of a line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            if row["step"] <= step:
                kept.append(row)
    write_jsonl(path, kept)


def environment() -> dict[str, Any]:
    """What a result may depend on beside its configuration: versions and device."""
    packages = ("prompt-tuning", "jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }


@contextlib.contextmanager
def lock(directory: pathlib.Path) -> Iterator[None]:
    """Hold a run's directory; a second process is refused. The lock dies with its process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise NoSpace(f"cannot write to {directory}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # on a full disk none is told who holds it
            os.truncate(held, 0)
            os.write(held, f"process {os.getpid()}".encode())
        yield
    except BlockingIOError:
        holder = os.read(held, 100).decode() or "another process"
        raise Busy(
            f"{directory} is in use by {holder}: wait for it, stop it, or choose another folder"
        ) from None
    finally:
        os.close(held)


@contextlib.contextmanager
def plain_disk_errors(out: pathlib.Path) -> Iterator[None]:
    """A full disk or a refused folder as one line."""
    try:
        yield
    except Exception as error:
        full = {errno.ENOSPC, errno.EDQUOT}
        if getattr(error, "errno", None) in full or "No space left" in str(error):
            raise NoSpace(
                f"the disk of {out} is full: make room and run again; finished checkpoints stay"
            ) from error
        if isinstance(error, PermissionError):
            raise NoSpace(f"cannot write to {out}: {error.strerror}") from error
        raise


class Display:
    """A live bar on a terminal, elsewhere a plain line every `interval` seconds, or nothing."""

    def __init__(self, title: str, total: int, start: int, quiet: bool = False):
        self.total, self.first, self.quiet = total, start, quiet
        self.console = rich.console.Console(highlight=False)
        self.began = self.last = time.monotonic()
        self.interval = 10.0
        self.bar: rich.progress.Progress | None = None
        self.say(title if start == 0 else f"{title}, going on from step {start}")
        if not quiet and self.console.is_terminal:
            self.bar = rich.progress.Progress(
                rich.progress.BarColumn(bar_width=20),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
                rich.progress.TextColumn("{task.fields[facts]}"),
                console=self.console,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=total, completed=start, facts="")

    def step(self, step: int, facts: dict[str, float], force: bool = False) -> None:
        """Show the latest numbers."""
        text = "  ".join(f"{name} {_short(value)}" for name, value in facts.items())
        if self.bar is not None:
            self.bar.update(self.task, completed=step, facts=text)
            return
        now = time.monotonic()
        if self.quiet or not (force or now - self.last >= self.interval):
            return
        self.last = now
        done = max(step - self.first, 1)
        left = (now - self.began) / done * (self.total - step)
        share = 100 * step // self.total
        head = f"  step {step}/{self.total} ({share} %)"
        self.console.print(f"{head}  {text}  {_clock(left)} left", soft_wrap=True, markup=False)

    def say(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def _short(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
