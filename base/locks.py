"""Lock files, which let one process at a time enter a section.

The `filelock` package can neither pass a lock on to a child process, which the lock on a data set
that is open in Labelme needs, nor say which process holds it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from base.errors import InputError
from base.files import remove_temporaries
from base.syncing import sync_folder

LOCK_NAME = ".lock"  # in the folder, only while a command writes to it
_STEP = 0.2  # seconds between two attempts
_LONGEST = 200  # characters of the name of a holder
_held: dict[Path, int] = {}  # folders that this process, given by its id, has locked


class BusyError(InputError):
    """Another process is working on a folder."""


@contextmanager
def working_on(folder: Path, command: str, *, wait: bool = True) -> Iterator[None]:
    """Let one process at a time write to the folder of a data set, a run, or a result of a run.

    If another one does, wait until it ends, and print its command once; without `wait`, raise
    BusyError, which names it. The operating system releases the lock when the process ends. A
    process that has the lock may enter again. Temporary files of a process that was killed are
    removed, except in folders below that have a lock of their own. The folder is created if it does
    not exist, and removed at the end if it is empty. Raises InputError if it cannot be written.
    """
    place = folder.resolve()
    if place.exists() and not place.is_dir():
        raise InputError(f"{folder}: expected the folder of a data set or a run, found a file")
    if _held.get(place) == os.getpid():  # a forked process inherits the dictionary
        yield
        return
    created = not folder.exists()
    with _acquired(folder / LOCK_NAME, command, wait=wait) as path:
        _held[place] = os.getpid()
        try:
            yield
        finally:
            _held.pop(place, None)
            path.unlink(missing_ok=True)
            if created:
                with suppress(OSError):  # not empty
                    folder.rmdir()


@contextmanager
def _acquired(path: Path, command: str, *, wait: bool) -> Iterator[Path]:
    """Hold the lock file `path`, which then contains who holds it."""

    def busy(file: IO[str]) -> InputError | str:
        file.seek(0)
        holder = file.read(_LONGEST) or "another command"
        if wait:
            return f"{path.parent}: waiting for {holder} to finish"
        return BusyError(
            f"{path.parent}: {holder} is working on it; try again when it has finished"
        )

    with _holding(path, busy) as (file, left):
        _sign(file, command)
        if left:  # a command that ends removes it; one that was killed does not
            remove_temporaries(path.parent, unless=path.name)
        sync_folder(path.parent)
        yield path


@contextmanager
def _holding(
    path: Path, busy: Callable[[IO[str]], InputError | str]
) -> Iterator[tuple[IO[str], bool]]:
    """Hold a lock file; yield it, and whether it was there before.

    While another process holds it, `busy` returns the error to raise, or a line that is printed
    once before waiting.
    """
    said = False
    while True:
        left = path.exists()
        with _open(path) as file:
            if _lock(file):
                if _is_current(file, path):
                    yield file, left
                    return
                continue
            answer = busy(file)
        if isinstance(answer, InputError):
            raise answer
        if not said:
            print(answer, flush=True)
            said = True
        time.sleep(_STEP)  # in short steps, so that Ctrl-C ends it


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(file: IO[str], path: Path) -> bool:
    """Return whether a file still has this path; the process that held the lock removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: IO[str], command: str) -> None:
    """Write into a lock file who holds it; on a full disk, it stays without a name."""
    signature = f"`{command}` (process {os.getpid()} on {socket.gethostname()})"
    with suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), signature.encode())


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[int]:
    """Hold the lock file `path`; yield its descriptor, which a child process may inherit.

    The operating system releases the lock when the last process that has it ends. If another
    process holds it, raise InputError with the message `busy` or, if it is None, say so and wait.
    The file may be removed while the lock is held. Raises InputError if it cannot be created.
    """
    waiting = f"{path}: waiting for another command to finish"
    with _holding(path, lambda _: InputError(busy) if busy else waiting) as (file, _):
        yield file.fileno()


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
