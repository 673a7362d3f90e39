"""Lock files: one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.errors import InputError


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold the lock file `path`; InputError with the message where another process does.

    The system lets go of it however the process ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(message) from None
        yield
