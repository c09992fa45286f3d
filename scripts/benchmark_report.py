"""The results of `benchmark.py` as JSON and Markdown."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "torch", "transformers", "peft")


@dataclasses.dataclass(frozen=True)
class Row:
    """One number, and its counterpart if there is one."""

    what: str
    unit: str  # "s" and "MiB" are better when small
    ours: float
    other: float | None  # PEFT's; of a population, that of one run after the other

    @property
    def advantage(self) -> float | None:
        """How many times better ours is."""
        if self.other is None:
            return None
        small = self.unit in ("s", "MiB")
        return self.other / self.ours if small else self.ours / self.other

    def cells(self) -> list[str]:
        other, gain = self.other, self.advantage
        return [
            self.what,
            self.unit,
            f"{self.ours:,.2f}",
            "" if other is None else f"{other:,.2f}",
            "" if gain is None else f"{gain:.2f}",
        ]

    def line(self) -> str:
        what, unit, ours, other, gain = self.cells()
        return f"{what:<64} {ours:>10} {other:>10} {unit:<16} {gain:>6}"


def machine() -> dict[str, str]:
    """What the numbers were measured on, and with."""
    cpu = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    device = jax.devices()[0]
    found = {"processor": f"{cpu}, {os.cpu_count()} cores", "device": device.device_kind}
    found["python"] = platform.python_version()
    for name in PACKAGES:
        if importlib.util.find_spec(name):
            found[name] = importlib.metadata.version(name)
    return found


def write(rows: Sequence[Row], options: Any, out: pathlib.Path) -> None:
    """`benchmarks.json` and `benchmarks.md` in a folder."""
    settings = {k: v for k, v in dataclasses.asdict(options).items() if k != "out"}
    facts = {
        "machine": machine(),
        "settings": settings,
        "rows": [{**dataclasses.asdict(row), "advantage": row.advantage} for row in rows],
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=2) + "\n"
    (out / "benchmarks.json").write_text(text, encoding="utf-8")
    (out / "benchmarks.md").write_text(markdown(rows, facts), encoding="utf-8")


def markdown(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The page: settings, machine, one table."""
    table = ["| measured | unit | ours | other | times better |", "|---|---|---:|---:|---:|"]
    table += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts["machine"].items())
    s = facts["settings"]
    return f"""# Benchmarks

Written by `make benchmark`. Model {s["model"]}, batch {s["batch"]}, prompt length {s["length"]}, \
{s["threads"]} threads, medians
of {s["rounds"]} rounds in which both sides take turns, each in a process of its own, on the same \
weights and tokenised
texts. "Other" is PEFT; for products a single large one; for populations one run after the other.

- Equal shapes ("input {s["input"]}"): texts of exactly {s["input"]} tokens; nothing is packed.
- Real texts: of at most {s["limit"]} tokens. PEFT pads to the longest of a batch; ours sorts or \
packs.
- Scoring: the log-likelihood of every label; PEFT runs the encoder for each label.
- GFLOP/s: the step's matrix products, counted from shapes without what is computed anew in the \
backward pass,
  in the time of the whole step.
- Memory: the peak of a whole process after its first step. The time to the first step begins with
  the process; it holds imports, reading the weights and compilation, not the step.

{listed}

{chr(10).join(table)}
"""
