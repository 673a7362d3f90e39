"""The findings of earlier checks in DATASET/.cache/findings.sqlite, which may always be deleted.

Rows are read one at a time, so that memory does not grow with the set. The key of a row is made
from digests of everything that its values depend on, so an outdated row is not found. Several
processes may use the file at the same time.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from annotation.dataset import Dataset
from base.database import full_message, is_damage, open_database, remove_database

_SETTLED = 2_000_000_000  # ns; a file this old cannot change again within one tick of its clock
_SMALL = 1 << 20  # bytes; larger files are read in parts
_COMMIT = 200  # rows between two commits, which are lost if the process is killed
_TABLES = """
    CREATE TABLE IF NOT EXISTS files (
        path TEXT PRIMARY KEY, size INT, mtime INT, ctime INT, inode INT, digest BLOB
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS annotations (
        path TEXT PRIMARY KEY, key BLOB, record BLOB, complete INT, findings BLOB, statistics BLOB
    );
    CREATE TABLE IF NOT EXISTS inspections (
        key BLOB PRIMARY KEY, problem TEXT, reason TEXT, likeness BLOB
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS problems ON inspections (problem) WHERE problem IS NOT NULL;
"""


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """What is stored about one annotation file; `findings` is None if only errors were checked."""

    record: bytes
    findings: bytes | None = None
    statistics: bytes = b""


@dataclass(frozen=True, slots=True)
class InspectionRow:
    """What is stored about the pixels of one photo or of the copy in its annotation."""

    problem: str | None
    reason: str
    likeness: bytes | None


class Cache:
    """The open database.

    If it is damaged, it is replaced by an empty one. If it cannot be written, a temporary one takes
    its place, and the results are computed again the next time. With `verify`, files are read even
    if their size and times have not changed.
    """

    def __init__(self, path: Path, *, verify: bool = False) -> None:
        self._path: Path | None = path
        self._unsaved, self._verify = 0, verify
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return open_database(self._path, _TABLES)
            except (OSError, sqlite3.Error):
                self._path = None
        connection = sqlite3.connect("")  # a temporary file that SQLite removes
        connection.executescript(_TABLES)
        return connection

    def _execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.DatabaseError as error:
            self._replace(error)
            return self._db.execute(query, values)

    def _replace(self, error: sqlite3.Error) -> None:
        self._db.close()
        if self._path is not None and is_damage(error):
            remove_database(self._path, error)
        elif self._path is not None:
            print(f"{full_message(self._path, error)}; results are not stored", flush=True)
            self._path = None
        self._db = self._open()

    def _write(self, query: str, *values: Any) -> None:
        self._execute(query, *values)
        self._unsaved += 1
        if self._unsaved >= _COMMIT:
            self.commit()

    def commit(self) -> None:
        """Save everything stored so far."""
        self._unsaved = 0
        try:
            self._db.commit()
        except sqlite3.DatabaseError as error:
            self._replace(error)

    def close(self) -> None:
        """Save everything and close the database."""
        self.commit()
        self._db.close()

    def digest(self, path: Path) -> bytes:
        """Return the SHA-256 of a file, which is read only if it has changed since the last time.

        It has not changed if its size, times and inode are the same; with `verify`, it
        is read in any case. Raises OSError if it cannot be read or is not a regular file.
        """
        name = str(path)
        status = os.stat(name)  # noqa: PTH116 (is called for every file)
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = None if self._verify else self._stamped(name)
        if known is not None and known[:4] == stamp:
            return bytes(known[4])
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would never end
            raise OSError(f"{name}: is not a regular file")
        with open(name, "rb") as file:  # noqa: PTH123
            small = status.st_size < _SMALL
            digest = (sha256(file.read()) if small else file_digest(file, "sha256")).digest()
        if time.time_ns() - max(stamp[1], stamp[2]) > _SETTLED and is_text(name):
            query = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)"
            self._write(query, name, *stamp, digest)
        return digest

    def _stamped(self, name: str) -> Any:
        query = "SELECT size, mtime, ctime, inode, digest FROM files WHERE path = ?"
        try:
            return self._execute(query, name).fetchone()
        except UnicodeEncodeError:
            return None

    def record(self, path: str) -> tuple[bytes, bytes] | None:
        """Return the key and record of an annotation file that was checked before."""
        query = "SELECT key, record FROM annotations WHERE path = ?"
        row = self._execute(query, path).fetchone()
        return None if row is None else (row[0], row[1])

    def findings(self, path: str) -> tuple[bytes, bytes] | None:
        """Return the findings and statistics of an annotation file, if all rules were applied."""
        query = "SELECT findings, statistics FROM annotations WHERE path = ? AND complete"
        row = self._execute(query, path).fetchone()
        return None if row is None else (row[0], row[1])

    def keep_annotation(self, path: str, key: bytes, row: AnnotationRow) -> None:
        """Store what was found in an annotation file."""
        values = (row.record, row.findings is not None, row.findings, row.statistics)
        query = "INSERT OR REPLACE INTO annotations VALUES (?, ?, ?, ?, ?, ?)"
        self._write(query, path, key, *values)

    def inspection(self, key: bytes) -> InspectionRow | None:
        """Return what is stored about the pixels with this key."""
        query = "SELECT problem, reason, likeness FROM inspections WHERE key = ?"
        row = self._execute(query, key).fetchone()
        return None if row is None else InspectionRow(*row)

    def keep_inspection(self, key: bytes, row: InspectionRow) -> None:
        """Store what is known about the pixels with this key."""
        query = "INSERT OR REPLACE INTO inspections VALUES (?, ?, ?, ?)"
        self._write(query, key, row.problem, row.reason, row.likeness)

    def problems(self) -> dict[bytes, InspectionRow]:
        """Return the contents of all inspections that found a problem, by key."""
        query = "SELECT key, problem, reason, likeness FROM inspections WHERE problem IS NOT NULL"
        try:
            return {key: InspectionRow(*row) for key, *row in self._execute(query)}
        except sqlite3.DatabaseError as error:
            self._replace(error)
            return {}


def is_text(name: str) -> bool:
    """Return whether a file name can be written as UTF-8; some names from old systems cannot."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def open_cache(dataset: Dataset, *, verify: bool = False) -> Iterator[Cache]:
    """Open the cache of a data set; `verify` is described in `Cache`."""
    cache = Cache(dataset.root / ".cache" / "findings.sqlite", verify=verify)
    try:
        yield cache
    finally:
        cache.close()
