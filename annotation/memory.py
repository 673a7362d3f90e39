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
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, 2**31 - 1)
