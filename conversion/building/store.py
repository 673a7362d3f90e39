"""What was already done for a data set: a database that may be deleted at any time.

It lives in `DATASET/.cache/`, not in `panoptic/`: its bytes depend on what was done when, while
those of a built set depend on its input only. Rows are looked up one by one, so that memory does
not grow with the set.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from base.locks import locked

_SETTLED = 2_000_000_000  # ns; a file this old can't change again within one tick of its clock
_SMALL = 1 << 20  # bytes; larger files are read in parts, as the JSONs of the set itself are
_TABLES = """
    CREATE TABLE IF NOT EXISTS files (
        path TEXT PRIMARY KEY, size INT, mtime INT, ctime INT, inode INT, digest BLOB
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS records (path TEXT PRIMARY KEY, key BLOB, value BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS likeness (digest BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS painted (
        photo TEXT PRIMARY KEY, key BLOB, png TEXT, size INT, mtime INT,
        image BLOB, panoptic BLOB, instances BLOB, counts BLOB, changes BLOB
    );
    CREATE TABLE IF NOT EXISTS failed (
        photo TEXT PRIMARY KEY, key BLOB, message TEXT
    ) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Row:
    """A painted photo: where its PNG lies, below `panoptic/`, and its pieces of the JSON files."""

    photo: str
    key: bytes
    png: str
    size: int
    mtime: int
    image: bytes
    panoptic: bytes
    instances: bytes
    counts: bytes
    changes: bytes


class Store:
    """The open database; one process writes it at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = self._db = connection

    def _one(self, query: str, *values: Any) -> Any:
        return self._db.execute(query, values).fetchone()

    def digest(self, path: Path) -> bytes:
        """SHA-256 of a file, read only where its stamp is not the one seen before.

        Raises OSError where it cannot be read.
        """
        name = str(path)
        status = os.stat(name)  # noqa: PTH116 (is called for every file)
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._one(
            "SELECT size, mtime, ctime, inode, digest FROM files WHERE path = ?", name
        )
        if known is not None and known[:4] == stamp:
            return bytes(known[4])
        with open(name, "rb") as file:  # noqa: PTH123
            small = status.st_size < _SMALL
            digest = (sha256(file.read()) if small else file_digest(file, "sha256")).digest()
        if time.time_ns() - max(stamp[1], stamp[2]) > _SETTLED:
            row = (name, *stamp, digest)
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
        return digest

    def record(self, path: str) -> tuple[bytes, bytes] | None:
        """Key and value of an annotation file that was checked before."""
        row = self._one("SELECT key, value FROM records WHERE path = ?", path)
        return None if row is None else (row[0], row[1])

    def keep_record(self, path: str, key: bytes, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (path, key, value))

    def likeness(self, digest: bytes) -> int | None:
        """Perceptual hash of the photo with this digest."""
        row = self._one("SELECT value FROM likeness WHERE digest = ?", digest)
        return None if row is None else int.from_bytes(row[0], "big")

    def keep_likeness(self, digest: bytes, value: int) -> None:
        row = (digest, value.to_bytes(8, "big"))
        self._db.execute("INSERT OR REPLACE INTO likeness VALUES (?, ?)", row)

    def keep_painted(self, row: Row) -> None:
        values = tuple(vars(row).values())
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO painted VALUES ({marks})", values)

    def keep_failure(self, photo: str, key: bytes, message: str) -> None:
        row = (photo, key, message)
        self._db.execute("INSERT OR REPLACE INTO failed VALUES (?, ?, ?)", row)

    def moved(self, photo: str, png: str) -> None:
        """Note where the PNG of a photo lies now."""
        self._db.execute("UPDATE painted SET png = ? WHERE photo = ?", (png, photo))

    def commit(self) -> None:
        """Let everything so far outlast a kill."""
        self._db.commit()


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """Open `folder/convert.sqlite`, alone; a broken one is begun anew.

    Raises InputError where another process has it open.
    """
    busy = f"{folder.parent}: another `convert` is working on this data set"
    with locked(folder / "convert.lock", busy=busy):
        connection = _connect(folder / "convert.sqlite")
        store = Store(connection)
        try:
            yield store
        finally:
            store.commit()
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _prepared(path)
    except sqlite3.DatabaseError:  # no database: torn by a full disk, or another program's
        for part in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))):
            part.unlink(missing_ok=True)
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_TABLES)
        connection.execute("SELECT count(*) FROM painted").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
