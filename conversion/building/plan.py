"""What is to be in the set: a row a photo, in the database, so that memory does not grow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from conversion.building.painter import Task
from conversion.building.store import Store
from conversion.coco.panoptic import Photo
from conversion.coco.png import png_names
from conversion.painting.ids import block_begin, first_ids

NEW = ".new"  # below `panoptic/`: PNGs of photos that are in no split yet
_TABLES = """
    CREATE TEMP TABLE plan (
        photo TEXT PRIMARY KEY, annotation TEXT, height INT, width INT, used INT, alone INT,
        needs INT, place INT, png_name TEXT, png_folded TEXT, drawn BLOB, seen BLOB,
        first_id INT, stuff BLOB, key BLOB, split TEXT
    ) WITHOUT ROWID;
    CREATE TEMP TABLE dealt (photo TEXT PRIMARY KEY, split TEXT) WITHOUT ROWID;
    CREATE TEMP TABLE todo (photo TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_FAILED = "failed.photo = plan.photo AND failed.key = plan.key"
_PNG = "'panoptic_' || split || '/' || png_name"
Piece = Literal["image", "panoptic", "instances", "counts", "changes"]
V = TypeVar("V")
Digests = tuple[bytes, bytes, bytes]  # of annotation, photo and stuff


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo with its annotation; `drawn` and `seen` are digests of annotation and photo.

    It needs `needs` ids at most. `used` is False for one that only keeps others from being that
    photo's, `alone` where no other file had a part in its check.
    """

    photo: str
    annotation: str
    size: tuple[int, int]
    needs: int
    used: bool
    alone: bool
    drawn: bytes
    seen: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A planned photo beside what was painted of it: where its PNG lay, its bytes and its time."""

    photo: str
    png_name: str
    png: str
    size: int
    mtime: int


class Plan:
    """All photos of the set to be, in the order of their names; gone when the store closes.

    `left_out` are annotation files and why. The rows are made in the order of the methods.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.left_out: list[tuple[str, str]] = []
        self._db: sqlite3.Connection = store.connection
        self._db.executescript(_TABLES)
        self._folders: set[str] = set()  # of PNGs, folded

    def _all(self, query: str, *values: Any) -> Iterator[Any]:
        return iter(self._db.execute(query, values))

    def _number(self, query: str, *values: Any) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def add(self, entry: Entry) -> None:
        """Take a photo in; the second annotation of one is left out."""
        png = f"{entry.photo.rpartition('.')[0]}.png"
        values = (entry.photo, entry.annotation, *entry.size, entry.used, entry.alone, entry.needs)
        row = (*values, block_begin(entry.photo), png, png.lower(), entry.drawn, entry.seen)
        done = self._db.execute(
            f"INSERT OR IGNORE INTO plan VALUES ({'?, ' * 12}0, '', '', '')", row
        )
        if entry.used and not done.rowcount:
            query = "SELECT annotation FROM plan WHERE photo = ?"
            (other,) = self._db.execute(query, (entry.photo,)).fetchone()
            self.left_out.append((entry.annotation, f"annotates the same photo as {other}"))
        folder = png.lower().rpartition("/")[0]
        if folder not in self._folders:
            parts = folder.split("/")
            self._folders |= {"/".join(parts[:i]) for i in range(1, len(parts) + 1)}

    def keep_used(self) -> None:
        """Forget what only stood in others' way."""
        self._db.execute("DELETE FROM plan WHERE NOT used")

    def __len__(self) -> int:
        return self._number("SELECT count(*) FROM plan")

    def remember(self, dealt: Mapping[str, str]) -> None:
        """Take in the split of every photo dealt before."""
        self._db.executemany("INSERT INTO dealt VALUES (?, ?)", dealt.items())

    def number(
        self, room: int, stuff_of: Callable[[str], bytes], key_of: Callable[[Task, bool], bytes]
    ) -> None:
        """Give every photo its ids, `room` more than it needs, the name of its PNG, and its key.

        Raises InputError where the ids do not suffice.
        """
        self._name_pngs()
        sizes = self._all("SELECT place, needs FROM plan ORDER BY place, photo")
        begins, needs = np.fromiter(chain.from_iterable(sizes), np.int64).reshape(-1, 2).T
        firsts = first_ids(begins, needs + room)
        rows = self._all(
            "SELECT photo, annotation, height, width, png_name, drawn, seen, dealt.split, alone"
            " FROM plan LEFT JOIN dealt USING (photo) ORDER BY place, photo"
        )

        def numbered() -> Iterator[tuple[int, bytes, bytes, str]]:
            for first, row in zip(firsts.tolist(), rows, strict=True):
                *named, drawn, seen, split, alone = row
                stuff = stuff_of(row[0])
                task = _task((*named, first, b"", drawn, seen, stuff, split))
                yield first, stuff, key_of(task, bool(alone)), row[0]

        query = "UPDATE plan SET first_id = ?, stuff = ?, key = ? WHERE photo = ?"
        self._db.executemany(query, numbered())

    def _name_pngs(self) -> None:
        """Other names for PNGs where the usual ones clash."""
        self._db.execute("CREATE INDEX temp.by_png ON plan (png_folded)")
        twice = "SELECT 1 FROM plan GROUP BY png_folded HAVING count(*) > 1 LIMIT 1"
        folder = "SELECT 1 FROM plan WHERE png_folded = ?"
        if any(self._all(twice)) or any(any(self._all(folder, one)) for one in self._folders):
            names = png_names([name for (name,) in self._all("SELECT photo FROM plan")])
            query = "UPDATE plan SET png_name = ?, png_folded = ? WHERE photo = ?"
            self._db.executemany(query, ((png, png.lower(), name) for name, png in names.items()))

    def find_todo(self, is_painted: Callable[[Seen], bool]) -> tuple[int, int]:
        """How many photos are to be painted, and how many of these did not fail the last time.

        What failed is tried again: a disk that is away for a moment is no fault of the photo's.
        """
        rows = self._all(
            "SELECT photo, png_name, png, size, mtime, painted.key IS plan.key FROM plan"
            " LEFT JOIN painted USING (photo)"
        )
        todo = ((row[0],) for row in rows if not (row[5] and is_painted(Seen(*row[:5]))))
        self._db.executemany("INSERT INTO todo VALUES (?)", todo)
        count = self._number("SELECT count(*) FROM todo")
        again = f"SELECT count(*) FROM todo JOIN plan USING (photo) JOIN failed ON {_FAILED}"
        new = count - self._number(again)
        if any(self._all("SELECT 1 FROM failed LIMIT 1")):  # else nothing is written
            self._db.execute("DELETE FROM failed")
        return count, new

    def todo(self) -> Iterator[Task]:
        """What is to be painted."""
        rows = self._all(
            "SELECT photo, annotation, height, width, png_name, first_id, plan.key, drawn, seen,"
            " stuff, dealt.split FROM todo JOIN plan USING (photo) LEFT JOIN dealt USING (photo)"
        )
        return map(_task, rows)

    def leave_out_failed(self) -> list[tuple[str, str]]:
        """Leave out what could not be painted; gives those annotations, and why."""
        failed = list(self._all(f"SELECT annotation, message FROM plan JOIN failed ON {_FAILED}"))
        self.left_out = sorted([*self.left_out, *failed])
        self._db.execute(f"DELETE FROM plan WHERE EXISTS (SELECT 1 FROM failed WHERE {_FAILED})")
        return failed

    def before(self) -> Mapping[str, str]:
        """The split that photos were dealt into before, by name."""
        return _Table(self._db, "dealt", "split", lambda split: split)

    def is_dealt(self) -> bool:
        """Whether every photo was dealt before."""
        new = "SELECT count(*) FROM plan WHERE photo NOT IN (SELECT photo FROM dealt)"
        return not self._number(new)

    def deal_as_before(self) -> None:
        self._db.execute(
            "UPDATE plan SET split = (SELECT split FROM dealt WHERE dealt.photo = plan.photo)"
        )

    def deal(self, split: Mapping[str, str]) -> None:
        """Note the split of every photo."""
        rows = ((place, name) for name, place in split.items())
        self._db.executemany("UPDATE plan SET split = ? WHERE photo = ?", rows)

    # --- what is read when all is known ---

    def photos(self, split: str | None = None) -> Iterator[str]:
        """Names of all photos, or of one split."""
        return self._column("photo", split)

    def png_names(self, split: str) -> Iterator[str]:
        """Names of the PNGs of one split."""
        return self._column("png_name", split)

    def pieces(self, name: Piece, split: str | None = None) -> Iterator[bytes]:
        """One column of what was painted."""
        return self._column(name, split, of="plan JOIN painted USING (photo)")

    def _column(self, name: str, split: str | None, *, of: str = "plan") -> Iterator[Any]:
        where, values = ("", ()) if split is None else ("WHERE split = ?", (split,))
        rows = self._all(f"SELECT {name} FROM {of} {where} ORDER BY photo", *values)
        return (value for (value,) in rows)

    def has(self, split: str, *, photo: str | None = None, png: str | None = None) -> bool:
        """Whether a photo, or a PNG, belongs to a split."""
        if photo is not None:
            return any(self._all("SELECT 1 FROM plan WHERE photo = ? AND split = ?", photo, split))
        assert png is not None
        query = "SELECT 1 FROM plan WHERE png_folded = ? AND png_name = ? AND split = ?"
        return any(self._all(query, png.lower(), png, split))

    def sizes(self) -> dict[str, int]:
        """Number of photos by split."""
        return dict(self._all("SELECT split, count(*) FROM plan GROUP BY split"))

    def dealt(self) -> Iterator[tuple[str, str]]:
        """Every photo and its split, those that are gone for now included."""
        return self._all(
            "SELECT photo, split FROM plan UNION ALL SELECT photo, split FROM dealt"
            " WHERE photo NOT IN (SELECT photo FROM plan) ORDER BY photo"
        )

    def inputs(self) -> Iterator[tuple[bytes, str]]:
        """Key and PNG, below `panoptic/`, of every photo."""
        return self._all(f"SELECT key, {_PNG} FROM plan ORDER BY photo")

    def counts(self) -> Mapping[str, dict[int, int]]:
        """Segments by category of every photo."""
        return _Table(self._db, "plan JOIN painted USING (photo)", "counts", _decoded_counts)

    def entries(self) -> Iterator[tuple[str, str, Digests, bytes]]:
        """Photo, PNG, digests of what it is made of, and what the rules changed (JSON)."""
        for name, png, drawn, seen, stuff, changes in self._all(
            f"SELECT photo, {_PNG}, drawn, seen, stuff, changes"
            " FROM plan JOIN painted USING (photo) ORDER BY photo"
        ):
            yield name, png, (drawn, seen, stuff), changes

    def moves(self) -> Iterator[tuple[str, str]]:
        """Where a PNG lies and where it belongs, below `panoptic/`, where these differ."""
        return self._all(
            f"SELECT png, {_PNG} FROM plan JOIN painted USING (photo) WHERE png != {_PNG}"
        )

    def moved(self) -> None:
        """Note that every PNG is where it belongs."""
        self._db.execute(
            f"UPDATE painted SET png = (SELECT {_PNG} FROM plan WHERE plan.photo = painted.photo)"
            " WHERE photo IN"
            f" (SELECT photo FROM plan JOIN painted USING (photo) WHERE png != {_PNG})"
        )
        self.store.commit()


class _Table(Mapping[str, V]):
    """A column by photo, read row by row."""

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


def _task(row: Sequence[Any]) -> Task:
    """Photo, annotation, height, width, PNG, first id, key, three digests, and the split before."""
    name, annotation, height, width, png_name, first, key, drawn, seen, stuff, split = row
    folder = NEW if split is None else f"panoptic_{split}"
    photo = Photo(first, name, width, height, png_name, ())
    return Task(photo, annotation, f"{folder}/{png_name}", key, (drawn, seen, stuff))


def _decoded_counts(data: bytes) -> dict[int, int]:
    return msgspec.json.decode(data, type=dict[int, int])
