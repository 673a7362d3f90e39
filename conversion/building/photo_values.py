"""A value for each photo of a data set, such as its embedding, that is computed once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from annotation.dataset import Dataset
from annotation.rules.cache import open_cache
from base.database import open_database, with_database
from base.errors import InputError

_TABLES = "CREATE TABLE IF NOT EXISTS photo_values (photo BLOB PRIMARY KEY, value BLOB)"
_KEPT_AT_ONCE = 100  # photos; those after the last hundred are lost if the process is killed


def values_of_photos(
    dataset: Dataset,
    names: Sequence[str],
    compute: Callable[[Sequence[Path]], Iterable[bytes]],
    *,
    file: str,
) -> list[bytes]:
    """Return the value of each photo; `names` are their paths below `images/`.

    `compute` yields the values of photos in order. They are kept in DATASET/.cache/`file`, which
    may be deleted at any time; photos with the same contents as before are not read again. Raises
    InputError if a photo cannot be read or the disk is full.
    """
    digests = _digests(dataset, names)
    photos = {d: dataset.images / name for d, name in zip(digests, names, strict=True)}
    path = dataset.root / ".cache" / file
    values = with_database(path, lambda: _values(path, photos, compute))
    return [values[digest] for digest in digests]


def _values(
    path: Path,
    photos: Mapping[bytes, Path],
    compute: Callable[[Sequence[Path]], Iterable[bytes]],
) -> dict[bytes, bytes]:
    """Return the value of each photo, by its SHA-256; raises sqlite3.Error."""
    with closing(open_database(path, _TABLES)) as database:
        known = {digest for (digest,) in database.execute("SELECT photo FROM photo_values")}
        new = {digest: photo for digest, photo in photos.items() if digest not in known}
        if new:
            found = compute(list(new.values()))
            for number, row in enumerate(zip(new, found, strict=True), start=1):
                database.execute("INSERT OR REPLACE INTO photo_values VALUES (?, ?)", row)
                if number % _KEPT_AT_ONCE == 0:
                    database.commit()
        gone = [(digest,) for digest in known.difference(photos)]
        database.executemany("DELETE FROM photo_values WHERE photo = ?", gone)
        database.commit()
        values = dict(database.execute("SELECT photo, value FROM photo_values"))
    if values.keys() != photos.keys():  # the table and its index contradict each other
        raise sqlite3.DatabaseError("database disk image is malformed")
    return values


def _digests(dataset: Dataset, names: Sequence[str]) -> list[bytes]:
    """Return the SHA-256 of each photo; files that have not changed are not read again."""
    with open_cache(dataset) as cache:
        try:
            return [cache.digest(dataset.images / name) for name in names]
        except OSError as error:
            raise InputError(
                f"{error.filename}: cannot be read: {error.strerror}; run `convert` again"
            ) from None
