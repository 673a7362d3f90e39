"""Settings of the system's memory allocator for large arrays."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's malloc options


@cache
def keep_freed_memory() -> None:
    """Keep freed arrays in this process for reuse instead of returning them to the system.

    Arrays of the same large sizes are freed and allocated for every photo, and for every training
    step on the CPU. Otherwise the system would clear them each time, which takes a tenth to a third
    of the total time. Does nothing without glibc.
    """
    _call("mallopt", _MMAP_MAX, 0)
    _call("mallopt", _TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Return the kept memory to the system after the work, since a notebook would keep it."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)) is not None:
        function(*values)
