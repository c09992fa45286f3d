"""Memory of a training process on CPU."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


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
