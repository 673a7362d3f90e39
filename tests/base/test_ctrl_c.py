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
# Presses Ctrl-C where its exception is dropped or expected, before something that may not end.
PRESSED = """
import itertools, os, signal, subprocess, time, weakref
import pipeline
from base.ctrl_c import forget_ctrl_c, handle_ctrl_c
from base.waiting import wait_for

def press(*_):
    os.kill(os.getpid(), signal.SIGINT)

class Destroyed:
    def __del__(self):
        press()

def destroyed():
    Destroyed()

def called_back():
    thing = set()
    references.append(weakref.ref(thing, press))

def caught():
    try:
        press()
    except BaseException:
        pass

def loop():
    for number in itertools.count():
        pass

def sleep():
    time.sleep(60)

def wait():
    wait_for(subprocess.Popen(["cat"], stdin=subprocess.PIPE))

def clean_up():
    try:
        press()
    finally:
        time.sleep(1.2)
        print("cleaned up")

def expected():
    try:
        press()
    except KeyboardInterrupt:
        forget_ctrl_c()
    time.sleep(1.2)
    print("continued")

references = []
handle_ctrl_c()
pipeline.app.cli = lambda **_: [{}]
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


def press(*calls: str) -> subprocess.CompletedProcess[str]:
    program = PRESSED.replace("{}", ", ".join(f"{call}()" for call in calls))
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "calls",
    [("destroyed", "loop"), ("called_back", "sleep"), ("caught", "wait"), ("caught",)],
    ids=" ".join,
)
def test_ctrl_c_is_not_lost_where_its_exception_is_dropped(calls: tuple[str, ...]) -> None:
    done = press(*calls)
    assert done.returncode == 130 and done.stderr == "stopped\n"


def test_cleaning_up_after_ctrl_c_is_not_interrupted() -> None:
    done = press("clean_up")
    assert done.returncode == 130 and done.stdout == "cleaned up\n"


def test_a_program_can_continue_after_ctrl_c() -> None:
    done = press("expected")
    assert done.returncode == 0 and done.stdout == "continued\n"


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
        "import builtins, os, runpy, signal, sys, time\n"
        "class Slow:\n"
        "    def __del__(self, sleep=time.sleep): sleep(0.8)\n"
        "slow = Slow()\n"
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
