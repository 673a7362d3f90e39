"""FiftyOne's App in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextmanager
def running_app(
    *command: str, env: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a command that serves the App until Ctrl-C; yield the App's address and the process."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={k: v for k, v in env.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if line.startswith("FiftyOne's App: http"))
        yield line.split()[2], process
    finally:
        process.kill()
        process.wait()
