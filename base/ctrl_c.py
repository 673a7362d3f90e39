"""Ctrl-C that always stops the program, and never only one of its processes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

STATUS = 130  # of a program that Ctrl-C has stopped, as shells report it
_pressed = False


def handle_ctrl_c() -> None:
    """Raise KeyboardInterrupt at Ctrl-C, and end with one line instead of a traceback.

    This includes programs that a script started in the background with `&`, whose shell tells them
    to ignore Ctrl-C: `kill -INT` would not stop them.
    """
    signal.signal(signal.SIGINT, _raise)
    sys.excepthook = _show


def end_at_next_ctrl_c() -> None:
    """Let another Ctrl-C end the program at once, without a traceback from its last lines."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ctrl_c_was_pressed() -> bool:
    """Return whether Ctrl-C was pressed since `handle_ctrl_c`, even if its exception was lost."""
    return _pressed


def check_ctrl_c() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed.

    Python drops an exception that is raised while an object is being destroyed or in a callback of
    C code, so long loops call this.
    """
    if _pressed:
        raise KeyboardInterrupt


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
    raise KeyboardInterrupt


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nothing caught; after Ctrl-C, only that the program has stopped."""
    if _pressed:
        print("stopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
