"""A column of a database table as a mapping by photo."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

V = TypeVar("V")


class Table(Mapping[str, V]):
    """A column by photo; each value is read only when it is used, to limit memory use.

    `table` and `column` are SQL; `decode` converts a stored value to the value returned.
    """

    def __init__(
        self, db: sqlite3.Connection, table: str, column: str, decode: Callable[[Any], V]
    ) -> None:
        self._db, self._table, self._column, self._decode = db, table, column, decode

    def __getitem__(self, photo: str) -> V:
        query = f"SELECT {self._column} FROM {self._table} WHERE photo = ?"
        row = self._db.execute(query, (photo,)).fetchone()
        if row is None:
            raise KeyError(photo)
        return self._decode(row[0])

    def __iter__(self) -> Iterator[str]:
        rows = self._db.execute(f"SELECT photo FROM {self._table} ORDER BY photo")
        return (name for (name,) in rows)

    def __len__(self) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])
