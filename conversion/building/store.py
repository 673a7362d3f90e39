"""What has already been built for a data set: a database that may be deleted at any time.

It is in DATASET/.cache/, not in `panoptic/`, because its bytes depend on the order of past work,
while the bytes of a built set depend only on its input. Rows are read one at a time, so that memory
does not grow with the set. Digests of files and checked annotations are in the cache that
validation uses as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.rules.cache import Cache, open_cache
from base.database import open_database
from base.locks import locked

# earlier versions kept the first three tables here
_TABLES = """
    DROP TABLE IF EXISTS files;
    DROP TABLE IF EXISTS records;
    DROP TABLE IF EXISTS likeness;
    CREATE TABLE IF NOT EXISTS painted (
        photo TEXT PRIMARY KEY, key BLOB, png TEXT, size INT, mtime INT,
        image BLOB, panoptic BLOB, instances BLOB, counts BLOB, changes BLOB
    );
    CREATE TABLE IF NOT EXISTS failed (
        photo TEXT PRIMARY KEY, key BLOB, message TEXT
    ) WITHOUT ROWID;
"""
_PROBES = (
    "SELECT photo, key, png, size, mtime, image, panoptic, instances, counts, changes FROM painted",
    "SELECT photo, key, message FROM failed",
)


@dataclass(frozen=True)
class PaintedPhoto:
    """A painted photo: the path of its PNG below `panoptic/` and its parts of the JSON files."""

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
    """The open database, which only one process uses at a time, and the cache of checks."""

    def __init__(self, connection: sqlite3.Connection, cache: Cache) -> None:
        self.connection = self._db = connection
        self.cache = cache

    def digest(self, path: Path) -> bytes:
        """Return the SHA-256 of a file, which is read only if it has changed since the last time.

        Raises OSError if it cannot be read.
        """
        return self.cache.digest(path)

    def keep_painted(self, row: PaintedPhoto) -> None:
        """Store a painted photo."""
        values = tuple(vars(row).values())
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO painted VALUES ({marks})", values)

    def keep_failure(self, photo: str, key: bytes, message: str) -> None:
        """Store why a photo could not be painted."""
        row = (photo, key, message)
        self._db.execute("INSERT OR REPLACE INTO failed VALUES (?, ?, ?)", row)

    def moved(self, photo: str, png: str) -> None:
        """Store the new path of the PNG of a photo."""
        self._db.execute("UPDATE painted SET png = ? WHERE photo = ?", (png, photo))

    def commit(self) -> None:
        """Save everything stored so far."""
        self._db.commit()
        self.cache.commit()


@contextmanager
def open_store(dataset: Dataset) -> Iterator[Store]:
    """Open the store of a data set for this process alone; a damaged one is replaced.

    Raises InputError if another process has it open.
    """
    folder = dataset.root / ".cache"
    busy = f"{dataset.root}: another `convert` is working on this data set"
    with locked(folder / "convert.lock", busy=busy), open_cache(dataset) as cache:
        connection = open_database(folder / "convert.sqlite", _TABLES, _PROBES)
        store = Store(connection, cache)
        try:
            yield store
        finally:
            store.commit()
            connection.close()
