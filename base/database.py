"""SQLite files of data that can be computed again, so a damaged file is simply replaced."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from shutil import disk_usage
from typing import TypeVar
from zlib import crc32

from base.errors import InputError

T = TypeVar("T")

# Errors that are not caused by the contents of the file: replacing it would not help
_ENVIRONMENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_WAIT = 60.0  # seconds for another process to finish writing


def with_database(path: Path, work: Callable[[], T]) -> T:
    """Return the result of `work`, which opens and uses a database.

    If the file is damaged, it is removed, a line says so, and `work` starts again. Raises
    InputError if the file cannot be used for other reasons, such as a full disk.
    """
    try:
        return work()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise InputError(full_message(path, error)) from None
        remove_database(path, error)
    try:
        return work()
    except sqlite3.Error as error:
        raise InputError(full_message(path, error)) from None


def open_database(path: Path, tables: str) -> sqlite3.Connection:
    """Open a database and create its `tables`.

    A file that is damaged, or was written by a version with other tables, is removed and created
    again, and what is not a regular file is renamed; a line says so. Raises sqlite3.Error if the
    file cannot be opened or created for other reasons, and OSError if it cannot be renamed.
    """
    _set_aside(path)
    try:
        return _prepared(path, tables)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        remove_database(path, error)
        return _prepared(path, tables)


def full_message(path: Path, error: sqlite3.Error) -> str:
    """Describe an error that is not caused by the contents of the file, such as a full disk."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
        return f"{path}: cannot be used: {error}"
    places = {path.parent, Path(tempfile.gettempdir())}  # SQLite has temporary files in the second
    free = " and ".join(f"{disk_usage(one).free:,} bytes in {one}" for one in sorted(places))
    return f"{path}: cannot be written: no space left on device: {free} are free"


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error comes from the contents of the file."""
    code = getattr(error, "sqlite_errorcode", None)  # extended codes have more bits
    return code is None or code & 0xFF not in _ENVIRONMENT


def remove_database(path: Path, error: sqlite3.Error) -> None:
    """Remove a database with the files that SQLite keeps beside it, and print why."""
    print(f"{path}: {error}; it is built again", flush=True)
    for part in _parts(path):
        part.unlink(missing_ok=True)


def _parts(path: Path) -> list[Path]:
    """Return the paths of a database and of the files that SQLite keeps beside it."""
    return [path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))]


def _set_aside(path: Path) -> None:
    """Rename whatever is not a regular file, such as a folder or a pipe, and print the new name."""
    for part in _parts(path):
        if os.path.lexists(part) and not part.is_file():
            aside = part.with_name(f"{part.name}.{token_hex(4)}")
            with suppress(FileNotFoundError):  # another process was faster
                part.rename(aside)
                print(f"{part}: is not a regular file; renamed to {aside.name}", flush=True)


def _prepared(path: Path, tables: str) -> sqlite3.Connection:
    version = crc32(tables.encode()) & 0x7FFFFFFF
    connection = sqlite3.connect(path, timeout=_WAIT)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        query = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        found, count = connection.execute(query).fetchone()
        if count and found != version:
            raise sqlite3.DatabaseError("was written by another version")
        if not count:
            # in one transaction, because another process may create it at the same time
            script = f"BEGIN IMMEDIATE; {tables}; PRAGMA user_version = {version}; COMMIT;"
            connection.executescript(script)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
