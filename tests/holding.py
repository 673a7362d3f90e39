"""Another process that works on a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HOLDER = """
import sys
from pathlib import Path
from base.locks import working_on
with working_on(Path(sys.argv[1]), sys.argv[2]):
    print("holds", flush=True)
    input()
"""


def hold(folder: Path, command: str) -> subprocess.Popen[str]:
    """Start a process that works on a folder until it gets a line."""
    words = [sys.executable, "-c", _HOLDER, str(folder), command]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    return holder
