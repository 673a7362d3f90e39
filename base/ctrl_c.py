"""Ctrl-C that always stops the program, and never only one of its processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

STATUS = 130  # of a program that Ctrl-C has stopped, as shells report it
AGAIN = 0.5  # seconds until an exception that was dropped is raised again
_pressed = False


def handle_ctrl_c() -> None:
    """Raise KeyboardInterrupt at Ctrl-C, and end with one line instead of a traceback.

    This includes programs that a script started in the background with `&`, whose shell tells them
    to ignore Ctrl-C: `kill -INT` would not stop them.

    Python drops the exception if it is raised while an object is being destroyed or in a function
    that C code calls, and some libraries catch all exceptions. So it is raised again until it
    arrives.
    """
    signal.signal(signal.SIGALRM, _raise_again)
    signal.signal(signal.SIGINT, _raise)
    sys.excepthook = _show
    sys.unraisablehook = _show_dropped


def forget_ctrl_c() -> None:
    """Continue after a Ctrl-C that has done what it was pressed for."""
    global _pressed
    if _pressed:  # otherwise, the timer may be another library's
        _pressed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def end_at_next_ctrl_c() -> None:
    """Let another Ctrl-C end the program at once, without a traceback from its last lines."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ctrl_c_was_pressed() -> bool:
    """Return whether Ctrl-C was pressed since `handle_ctrl_c`, even if its exception was lost."""
    return _pressed


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Block Ctrl-C in the processes that start inside; only their parent responds to it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise(_signal: int, _frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    raise KeyboardInterrupt


def _raise_again(_signal: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt again, unless the program is cleaning up because of the last one."""
    error = sys.exc_info()[1]  # what the interrupted `except`, `finally` or `with` responds to
    while error is not None:
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            return
        error = error.__context__
    if _pressed:
        raise KeyboardInterrupt


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nothing caught; after Ctrl-C, only that the program has stopped."""
    if not _pressed:
        sys.__excepthook__(kind, error, trace)
        return
    end_at_next_ctrl_c()
    print("stopped", file=sys.stderr, flush=True)
    if not isinstance(error, KeyboardInterrupt):  # an error that it led to, whose status would be 1
        os._exit(STATUS)


def _show_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """Print an exception that Python drops; none after Ctrl-C, which interrupts anything."""
    if not _pressed:
        sys.__unraisablehook__(dropped)
