"""One side of `benchmark.py` in a process of its own: seconds to the first step, peak memory.

The seconds are those before the first step computes: imports, weights, compilation.

Arguments: ours or peft, model folder, remat, prompt length, threads, time of the start.
"""

import json
import os
import pathlib
import sys
import time


def peak_mib() -> float:
    """The most memory that the process has held since `forget_peak`, in MiB (Linux)."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def forget_peak() -> None:
    """Count the peak anew from here."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    name, folder, remat = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    length, threads, began = int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import numpy as np  # after the affinity: libraries count the cores when they are imported

    inputs, targets = json.loads((folder / "batch.json").read_text())
    width = json.loads((folder / "config.json").read_text())["d_model"]
    prompt = np.random.default_rng(0).normal(size=(length, width)).astype(np.float32)
    if name == "ours":
        from prompt_tuning.t5.load import load_t5
        from prompt_tuning.t5.runtime import plain_cpu_products, reuse_memory
        from scripts.benchmark_ours import Ours

        plain_cpu_products()
        reuse_memory()
        side = Ours(load_t5(folder), [prompt], remat)
    else:
        from scripts.benchmark_peft import Peft

        side = Peft(folder, prompt, len(inputs))
        side.torch.set_num_threads(threads)
    side.train(inputs, targets)
    seconds = time.time() - began
    forget_peak()
    later = []
    for _ in range(2):
        at = time.time()
        side.train(inputs, targets)
        later.append(time.time() - at)
    print(json.dumps({"seconds": seconds - min(later), "peak": peak_mib()}))


if __name__ == "__main__":
    main()
