"""SQLite files of data that can be computed again, so a damaged file is simply replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

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


def open_database(path: Path, tables: str, probes: Sequence[str]) -> sqlite3.Connection:
    """Open a database and create its `tables`; `probes` are queries of all columns that are used.

    A file that is damaged, or from another program or version, is removed and created again.
    Raises sqlite3.Error if the file cannot be opened or created for other reasons.
    """
    try:
        return _prepared(path, tables, probes)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        remove_database(path)
        return _prepared(path, tables, probes)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error comes from the contents of the file."""
    code = getattr(error, "sqlite_errorcode", None)  # extended codes have more bits
    return code is None or code & 0xFF not in _ENVIRONMENT


def remove_database(path: Path) -> None:
    """Remove a database with the files that SQLite keeps beside it."""
    for part in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))):
        part.unlink(missing_ok=True)


def _prepared(path: Path, tables: str, probes: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(tables)
        for query in probes:
            connection.execute(query).fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
