"""Waiting for another process in a way that Ctrl-C always ends."""

from __future__ import annotations

import subprocess

import psutil

STEP = 0.5  # seconds


def wait_for(process: subprocess.Popen[bytes] | psutil.Popen) -> int:
    """Wait for a process to end and return its exit code.

    It waits in short steps. Python raises KeyboardInterrupt only between system calls, so a Ctrl-C
    that arrives just before a call that blocks without a limit, or in another thread, would be
    ignored until that call ends.
    """
    while True:
        try:
            return int(process.wait(timeout=STEP))
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            continue
