"""How JAX compiles here: what a process sets before it computes for the first time."""

import ctypes
import importlib.metadata
import os
import pathlib

import jax
from packaging.version import Version

CACHE_BYTES = 2**31  # of compiled programs, the latest used ones
_PRODUCTS = "--xla_cpu_experimental_ynn_fusion_type="  # an empty list: no YNNPACK
# A flag that XLA does not know ends the process.
_KNOWN_BY = Version("0.10.2"), Version("0.13")  # jaxlib: from, up to


_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def keep_compiled() -> None:
    """Keep compiled programs for later processes, in the user's cache folder.

    Does nothing if JAX has been given a folder (JAX_COMPILATION_CACHE_DIR), or been told to keep
    none (JAX_ENABLE_COMPILATION_CACHE=false).
    """
    values = jax.config.values
    if values["jax_compilation_cache_dir"] or not values["jax_enable_compilation_cache"]:
        return
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "prompt_tuning" / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", CACHE_BYTES)


def plain_cpu_products() -> None:
    """Let XLA compute matrix products on CPUs by Eigen, not by YNNPACK.

    A training step of T5 1.1 small took 5.6 s instead of 6.1 s on two cores (jaxlib 0.10.2; batch
    32, 256 ids, remat dots). Call it before JAX computes anything.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    known = _KNOWN_BY[0] <= Version(importlib.metadata.version("jaxlib")) < _KNOWN_BY[1]
    if known and "ynn_fusion_type" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_PRODUCTS}".strip()


def reuse_memory() -> None:
    """Keep freed memory for the next step instead of handing it back to the system.

    A training step on CPU allocates hundreds of megabytes and frees them; having every page
    cleared anew took a third of the time of small models. Acts where the C library is glibc, and
    only before JAX computes for the first time; elsewhere and later it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
