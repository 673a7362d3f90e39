"""Lock files, which let one process at a time enter a section.

The `filelock` package cannot pass a lock on to a child process; the lock on a data set that is open
in Labelme must last until Labelme's window is closed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.errors import InputError


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[int]:
    """Hold the lock file `path`; yield its descriptor, which a child process may inherit.

    The operating system releases the lock when the last process that has it ends. If another
    process holds it, raise InputError with the message `busy`, or wait if `busy` is None.
    Raises InputError if the file cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise InputError(f"{busy}") from None
        yield file.fileno()
