"""Atomic writing, reading of regular files only, safe paths and content hashes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path, PureWindowsPath
from secrets import token_hex
from typing import BinaryIO

from base.errors import InputError
from base.syncing import sync_file, sync_folder

_TEMPORARY = re.compile(r"\.[0-9a-f]{16}(\.[^.]*)?")  # a name that `replacing` chooses
_NO_SPACE = {ENOSPC, EDQUOT, EFBIG}  # a full disk, a used up quota, a limit on the size of files


@contextmanager
def replacing(path: Path, *, durable: bool = False, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block raises no error.

    With `durable`, the file is on the disk when this returns, and a power cut before that leaves
    the old file or the new one, never an empty one. Use it for what a person made or what cannot be
    computed again. `size` is the number of bytes, for the message about a full disk. Raises OSError
    with the path if the file cannot be written.
    """
    folder = os.path.dirname(path)  # noqa: PTH120 (called for every photo)
    new_folders = _make_folder(folder) if folder else ()
    temporary = Path(folder, f".{token_hex(8)}{path.suffix}")
    with naming_full_disk(path, size=size):
        try:
            yield temporary
            if durable:
                sync_file(temporary)
            os.replace(temporary, path)  # noqa: PTH105
            for one in (folder or ".", *new_folders) if durable else ():
                sync_folder(one)
        except BaseException:
            temporary.unlink(missing_ok=True)  # before the free space is measured
            raise


def remove_temporaries(folder: Path, *, unless: str) -> None:
    """Remove what `replacing` left below a folder when its process was killed.

    Hidden folders are skipped, and folders below it that contain a file named `unless`: another
    command may be writing to them.
    """
    for place, folders, names in os.walk(folder):
        if unless in names and Path(place) != folder:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if _TEMPORARY.fullmatch(name):
                Path(place, name).unlink(missing_ok=True)


def _make_folder(folder: str) -> list[str]:
    """Create a folder if necessary; return the folders in which it and its parents are new."""
    if os.path.isdir(folder):  # noqa: PTH112
        return []
    changed = []
    above = folder
    while above and not os.path.isdir(above):  # noqa: PTH112
        above = os.path.dirname(above)  # noqa: PTH120
        changed.append(above or ".")
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return changed


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file completely or not at all; `durable` is described in `replacing`."""
    with replacing(path, durable=durable, size=len(data)) as temporary:
        temporary.write_bytes(data)


class FullDiskError(OSError):
    """An error of writing that names the file, and the bytes needed and free."""


@contextmanager
def naming_full_disk(path: Path, *, size: int | None = None) -> Iterator[None]:
    """Give an OSError about a full disk in the block the path, the bytes needed and those free.

    The system does not name the file in an error of writing. `size` is the number of bytes of the
    file, if it is known. In nested blocks, the outer one knows the final path, and the inner one
    the number of bytes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        reason = str(error.strerror)
        if isinstance(error, FullDiskError):
            raise FullDiskError(error.errno, reason, str(path)) from None
        with suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            needed = "" if size is None else f"{size:,} bytes needed, "
            reason = f"{reason}: {needed}{free:,} bytes free"
        raise FullDiskError(error.errno, reason, str(path)) from None


def open_regular(path: Path, *, most_bytes: int | None = None) -> BinaryIO:
    """Open a file for reading, but only a regular one: a pipe or a device might never end.

    Raises OSError with a reason, also for other kinds of files and for a file that is larger than
    `most_bytes`.
    """
    # without O_NONBLOCK, opening a pipe would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = open(descriptor, "rb")  # noqa: PTH123, SIM115
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        reason = "is not a regular file"
    elif most_bytes is not None and status.st_size > most_bytes:
        reason = _too_large(status.st_size, most_bytes)
    else:
        return file
    file.close()
    raise OSError(0, reason, str(path))


def read_regular(path: Path, *, most_bytes: int | None = None) -> bytes:
    """Read a file as `open_regular` opens it, which describes the errors."""
    with open_regular(path, most_bytes=most_bytes) as file:
        return file.read()


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
        raise InputError(_too_large(status.st_size, most_bytes))


def _too_large(size: int, most_bytes: int) -> str:
    return f"expected at most {most_bytes >> 20} MB, found {size >> 20} MB"


def is_cut_short(path: Path, whole: bytes) -> bool:
    """Return whether a file has only the beginning of `whole`, as a power cut may leave it.

    The rest may be missing or consist of zeros. Raises OSError if it cannot be read.
    """
    found = read_regular(path)
    return len(found) <= len(whole) and found != whole and whole.startswith(found.rstrip(b"\0"))


class RunningDigest:
    """A `digest` of parts that are added one after another."""

    def __init__(self, *parts: bytes | str | Path) -> None:
        self._total = hashlib.sha256()
        for part in parts:
            self.add(part)

    def add(self, part: bytes | str | Path) -> None:
        """Add a string, bytes, or the content of a file; without a regular file, it is empty."""
        if isinstance(part, Path):
            data = read_regular(part) if part.is_file() else b""
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
