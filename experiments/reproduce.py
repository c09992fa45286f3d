"""The main job: sweep the pocket study, collect its results, draw its figures, say what they show.

Command: `make reproduce`, or `python experiments/reproduce.py --out FOLDER`; `--full` is the whole
study.
Cost: 7 to 10 minutes on 2 slow CPU cores; `--full` takes hours. Three seeds: `'seed=[0,1,2]'`.
It can be interrupted at any time and goes on where it was; finished runs are not repeated.
"""

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Sequence

from prompt_tuning.cli import exit_status
from prompt_tuning.sweep import results
from prompt_tuning.sweep.grid import choose, experiment_runs
from prompt_tuning.sweep.local import visible_gpus
from prompt_tuning.sweep.report import write_report
from prompt_tuning.sweep.run import Workers, sweep_runs
from prompt_tuning.sweep.watch import clock

ROOT = pathlib.Path(__file__).resolve().parent.parent


def reproduce(
    out: pathlib.Path, full: bool = False, workers: int | None = None, changes: Sequence[str] = ()
) -> int:
    """Everything from nothing; returns the exit status: 1 if runs failed or are damaged."""
    began = time.monotonic()
    setting = "full" if full else "pocket"
    runs = choose(experiment_runs(ROOT / "experiments" / "pocket.py", setting), changes=changes)
    models = len({run.model for run in runs})
    print(f"The pocket study: {len(runs)} runs over {models} frozen models", flush=True)
    if workers is None and not visible_gpus():  # such small models use one core best
        workers = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    found = sweep_runs(runs, out, experiment="pocket", workers=Workers(workers=workers))
    collected = results.collect(out)
    print(f"\n{results.as_text(collected.table)}\n")
    if collected.table.num_rows:
        page = write_report(collected.table, out / "report", runs=out)
        print((out / "report" / "findings.md").read_text(encoding="utf-8"))
        print(f"Report with figures and tables: {page}")
    print(f"{clock(time.monotonic() - began)}. Results: {out / results.FILE}")
    failed = [status for status in found if status.state == "failed"]
    for status in failed:
        print(f"failed: {status.run.id}: {status.reason}")
    for line in collected.damaged:
        print(f"damaged: {line}")
    return 1 if failed or collected.damaged else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "results" / "pocket")
    parser.add_argument("--full", action="store_true", help="all tasks, three seeds, ablations")
    parser.add_argument("--workers", type=int)
    parser.add_argument("changes", nargs="*", help="overrides, such as steps=20")
    args = parser.parse_args()
    return reproduce(args.out, args.full, args.workers, args.changes)


if __name__ == "__main__":
    sys.exit(exit_status(main))
