"""Freed memory stays in the process during the work and is returned at the end."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np
from base.memory import keep_freed_memory, return_freed_memory

def megabytes():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 >> 20

def fill():
    [np.ones(1 << 22) for _ in range(6)]
    return megabytes()

keep_freed_memory()
print(megabytes(), fill())
return_freed_memory()
print(megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_freed_memory_is_kept_and_returned() -> None:
    words = [sys.executable, "-c", PROGRAM]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, check=True)
    before, kept, returned = map(int, done.stdout.split())
    assert kept - before > 150
    assert returned - before < 50
