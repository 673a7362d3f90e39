"""What the system's memory allocator does with large arrays."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's malloc options


@cache
def keep_freed_memory() -> None:
    """Let freed arrays be used again instead of returning each to the system, in this process.

    Photo after photo, and step after step of a training on the CPU, the same large arrays are freed
    and asked for; having the system clear them each time costs a tenth to a third of the time. Does
    nothing where there is no glibc.
    """
    _call("mallopt", _MMAP_MAX, 0)
    _call("mallopt", _TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Give the system back what was kept, at the end of work that a notebook may have called."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)) is not None:
        function(*values)
