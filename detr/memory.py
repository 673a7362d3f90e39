"""Memory of the training process."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's malloc options


def keep_freed_memory() -> None:
    """Let freed arrays be used again instead of returning each to the system.

    A step on the CPU frees and asks for the same large arrays over and over, and having the system
    clear them each time costs a third of the time. Does nothing where there is no glibc.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, 2**31 - 1)
