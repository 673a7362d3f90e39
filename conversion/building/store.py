"""What has already been built for a data set: a database that may be deleted at any time.

It is in DATASET/.cache/, not in `panoptic/`, because its bytes depend on the order of past work,
while the bytes of a built set depend only on its input. Rows are read one at a time, so that memory
does not grow with the set. Digests of files and checked annotations are in the cache that
validation uses as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.rules.cache import Cache, open_cache
from base.database import open_database

_TABLES = """
    CREATE TABLE IF NOT EXISTS painted (
        photo TEXT PRIMARY KEY, key BLOB, png TEXT, digest BLOB,
        image BLOB, panoptic BLOB, instances BLOB, counts BLOB, changes BLOB
    );
    CREATE TABLE IF NOT EXISTS placed (path TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS failed (
        photo TEXT PRIMARY KEY, key BLOB, message TEXT
    ) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class PaintedPhoto:
    """A painted photo: its PNG below `panoptic/`, with its SHA-256, and its parts of the JSON."""

    photo: str
    key: bytes
    png: str
    digest: bytes
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

    def placed(self) -> dict[str, bytes]:
        """Return the SHA-256 of the other files of the last complete build, by path."""
        return dict(self._db.execute("SELECT path, digest FROM placed"))

    def keep_placed(self, digests: Mapping[str, bytes]) -> None:
        """Store the SHA-256 of all files of a complete build except its PNGs, by path."""
        self._db.execute("DELETE FROM placed")
        self._db.executemany("INSERT INTO placed VALUES (?, ?)", digests.items())

    def commit(self) -> None:
        """Save everything stored so far."""
        self._db.commit()
        self.cache.commit()


@contextmanager
def open_store(dataset: Dataset, *, verify: bool = False) -> Iterator[Store]:
    """Open the store of a data set; `verify` is described in `annotation.rules.cache.Cache`."""
    path = store_path(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_cache(dataset, verify=verify) as cache:
        connection = open_database(path, _TABLES)
        store = Store(connection, cache)
        try:
            yield store
        finally:
            try:
                store.commit()
            finally:
                connection.close()


def store_path(dataset: Dataset) -> Path:
    """Return the path of the store of a data set."""
    return dataset.root / ".cache" / "convert.sqlite"
