"""Atomic writing, safe paths and content hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from secrets import token_hex

from base.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block raises no error."""
    folder = os.path.dirname(path)  # noqa: PTH120 (called for every photo)
    if folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    temporary = Path(folder, f".{token_hex(8)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def inside(folder: Path, relative: str, *, where: str) -> Path:
    """Join a path read from a data file to `folder`.

    Backslashes count as separators because Labelme writes them on Windows. `..` is resolved by
    name only, so that links in the folder are followed. Raises InputError if the
    path leads out of `folder`.
    """
    path = os.path.normpath(relative.replace("\\", "/"))
    leaves = path.split("/")[0] == ".." or path.startswith("/") or PureWindowsPath(path).drive
    if leaves or "\0" in path:
        raise InputError(f"{where}: path must stay in {folder}, found '{relative}'")
    return folder / path


def check_regular(path: Path, *, most_bytes: int) -> None:
    """Check that a file can be read to its end: not a pipe or device, and not too large.

    Raises InputError, whose message does not contain the path, or OSError.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is not a regular file")
    if status.st_size > most_bytes:
        raise InputError(f"expected at most {most_bytes >> 20} MB, found {status.st_size >> 20} MB")


class RunningDigest:
    """A `digest` of parts that are added one after another."""

    def __init__(self, *parts: bytes | str | Path) -> None:
        self._total = hashlib.sha256()
        for part in parts:
            self.add(part)

    def add(self, part: bytes | str | Path) -> None:
        """Add a string, bytes, or the content of a file; a file that does not exist is empty."""
        if isinstance(part, Path):
            data = part.read_bytes() if part.exists() else b""
        else:
            data = part.encode() if isinstance(part, str) else part
        self._total.update(hashlib.sha256(data).digest())

    def copy(self) -> RunningDigest:
        """Return an independent copy, to which other parts can be added."""
        other = RunningDigest()
        other._total = self._total.copy()
        return other

    def hexdigest(self) -> str:
        """Return the SHA-256 as 64 hexadecimal digits."""
        return self._total.hexdigest()


def digest(*parts: bytes | str | Path) -> str:
    """Hash strings, bytes and the contents of files in order; return 64 hexadecimal digits.

    The hash is SHA-256. A file that does not exist counts as empty.
    """
    return RunningDigest(*parts).hexdigest()
