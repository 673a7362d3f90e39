"""Ctrl-C stops a program wherever it arrives, and however the program was started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IGNORED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
# Presses Ctrl-C where Python drops its exception, before something that would not end otherwise.
DESTROYED = """
import itertools, os, signal, subprocess
import pipeline
from base.ctrl_c import handle_ctrl_c
from base.progress import track
from base.waiting import wait_for

class Pressed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def loop():
    for number in track(itertools.count(), "work"):
        if number == 3:
            del pressed[0]

def wait():
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    del pressed[0]
    wait_for(process)

pressed = [Pressed()]
handle_ctrl_c()
pipeline.app.cli = lambda **_: {}()
pipeline.main()
"""
BACKGROUND = """
import time
import pipeline
from base.ctrl_c import handle_ctrl_c

def wait(**_):
    print("started", flush=True)
    time.sleep(60)

handle_ctrl_c()
pipeline.app.cli = wait
pipeline.main()
"""


@pytest.mark.parametrize("work", ["loop", "wait"])
def test_ctrl_c_is_not_lost_where_python_drops_its_exception(work: str) -> None:
    program = DESTROYED.replace("{}", work)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130 and done.stderr.splitlines()[-1] == "stopped"


@pytest.mark.parametrize("before", ["SIG_IGN", "SIG_DFL"])
def test_ctrl_c_stops_a_program_that_was_started_in_the_background(before: str) -> None:
    """The shell of a script tells what it starts with `&` to ignore Ctrl-C."""
    program = subprocess.Popen(
        [sys.executable, "-c", IGNORED.format(before), "-c", BACKGROUND],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None and program.stdout.readline() == "started\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)
    assert program.returncode == 130 and errors == "stopped\n"


def test_ctrl_c_while_the_program_starts_gives_no_traceback() -> None:
    """The signal arrives during the imports of pipeline.py."""
    interrupted = (
        "import builtins, os, runpy, signal, sys\n"
        "real = builtins.__import__\n"
        "def pressing(name, *rest):\n"
        "    if name == 'tyro':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = pressing\n"
        "sys.argv = ['pipeline.py', '--version']\n"
        "runpy.run_path('pipeline.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", interrupted], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGINT and done.stderr == "stopped\n"
