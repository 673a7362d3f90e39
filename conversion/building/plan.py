"""The planned contents of the set: one row per photo in a database, to limit memory use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from conversion.building.contents import Contents
from conversion.building.painter import Digests, PaintingTask
from conversion.building.store import Store
from conversion.building.table import Table
from conversion.coco.panoptic import Photo
from conversion.coco.png import png_names
from conversion.painting.ids import block_begin, first_ids

NEW = ".new"  # below `panoptic/`: PNGs of photos that are not in a split yet
_TABLES = """
    CREATE TEMP TABLE plan (
        photo TEXT PRIMARY KEY, annotation TEXT, height INT, width INT, used INT, alone INT,
        needs INT, place INT, png_name TEXT, png_folded TEXT, annotation_digest BLOB,
        photo_digest BLOB, first_id INT, stuff_digest BLOB, key BLOB, split TEXT
    ) WITHOUT ROWID;
    CREATE TEMP TABLE earlier (photo TEXT PRIMARY KEY, split TEXT) WITHOUT ROWID;
    CREATE TEMP TABLE todo (photo TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_FAILED = "failed.photo = plan.photo AND failed.key = plan.key"


@dataclass(frozen=True, slots=True)
class PlannedPhoto:
    """A photo with its annotation, and the digests of both.

    It needs at most `needs` segment ids for things. `used` is False for a photo that is not
    converted, and for which no other annotation may be used either. `alone` is True if no other
    file influenced the check of the annotation.
    """

    photo: str  # below `images/`
    annotation: str  # below the data set
    size: tuple[int, int]
    needs: int
    used: bool
    alone: bool
    annotation_digest: bytes
    photo_digest: bytes


@dataclass(frozen=True, slots=True)
class PaintedFile:
    """A PNG painted earlier: its name in the plan, its path below `panoptic/` and its SHA-256."""

    photo: str
    png_name: str
    png: str
    digest: bytes


class Plan:
    """All photos of the set in the order of their names; the plan exists while the store is open.

    `left_out` lists annotation files and reasons. Call the methods in the order of this class.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.left_out: list[tuple[str, str]] = []
        self._db = store.connection
        self._db.executescript(_TABLES)
        self._folders: set[str] = set()  # of PNGs, in lower case

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        return iter(self._db.execute(query, values))

    def _count(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])

    def add(self, planned: PlannedPhoto) -> None:
        """Add a photo; of two annotations of one photo, the second is left out."""
        png = f"{planned.photo.rpartition('.')[0]}.png"
        values = (planned.photo, planned.annotation, *planned.size, planned.used, planned.alone)
        digests = (planned.annotation_digest, planned.photo_digest)
        row = (*values, planned.needs, block_begin(planned.photo), png, png.lower(), *digests)
        done = self._db.execute(
            f"INSERT OR IGNORE INTO plan VALUES ({'?, ' * 12}0, '', '', '')", row
        )
        if planned.used and not done.rowcount:
            query = "SELECT annotation FROM plan WHERE photo = ?"
            (other,) = self._db.execute(query, (planned.photo,)).fetchone()
            self.left_out.append((planned.annotation, f"annotates the same photo as {other}"))
        folder = png.lower().rpartition("/")[0]
        if folder not in self._folders:
            parts = folder.split("/")
            self._folders |= {"/".join(parts[:i]) for i in range(1, len(parts) + 1)}

    def remove_unused(self) -> None:
        """Remove the photos that are not converted."""
        self._db.execute("DELETE FROM plan WHERE NOT used")

    def __len__(self) -> int:
        return self._count("SELECT count(*) FROM plan")

    def add_earlier_splits(self, splits: Mapping[str, str]) -> None:
        """Add the splits to which photos were assigned earlier."""
        self._db.executemany("INSERT INTO earlier VALUES (?, ?)", splits.items())

    def number(
        self,
        spare: int,
        stuff_of: Callable[[str], bytes],
        key_of: Callable[[PaintingTask, bool], bytes],
    ) -> None:
        """Assign segment ids, `spare` more than a photo needs, names of PNGs and keys.

        Raises InputError if there are not enough ids.
        """
        self._name_pngs()
        sizes = self._rows("SELECT place, needs FROM plan ORDER BY place, photo")
        begins, needs = np.fromiter(chain.from_iterable(sizes), np.int64).reshape(-1, 2).T
        firsts = first_ids(begins, needs + spare)
        rows = self._rows(
            "SELECT photo, annotation, height, width, png_name, annotation_digest, photo_digest,"
            " earlier.split, alone FROM plan LEFT JOIN earlier USING (photo) ORDER BY place, photo"
        )

        def numbered() -> Iterator[tuple[int, bytes, bytes, str]]:
            for first, row in zip(firsts.tolist(), rows, strict=True):
                *named, drawn, seen, split, alone = row
                stuff = stuff_of(row[0])
                task = _task((*named, first, b"", drawn, seen, stuff, split))
                yield first, stuff, key_of(task, bool(alone)), row[0]

        query = "UPDATE plan SET first_id = ?, stuff_digest = ?, key = ? WHERE photo = ?"
        self._db.executemany(query, numbered())

    def _name_pngs(self) -> None:
        """Give the PNGs other names if the usual ones clash."""
        self._db.execute("CREATE INDEX temp.by_png ON plan (png_folded)")
        twice = "SELECT 1 FROM plan GROUP BY png_folded HAVING count(*) > 1 LIMIT 1"
        folder = "SELECT 1 FROM plan WHERE png_folded = ?"
        if any(self._rows(twice)) or any(any(self._rows(folder, one)) for one in self._folders):
            names = png_names([name for (name,) in self._rows("SELECT photo FROM plan")])
            query = "UPDATE plan SET png_name = ?, png_folded = ? WHERE photo = ?"
            self._db.executemany(query, ((png, png.lower(), name) for name, png in names.items()))

    def find_todo(self, is_painted: Callable[[PaintedFile], bool]) -> tuple[int, int]:
        """Return the number of photos to paint, and how many of these did not fail the last time.

        Photos that failed are tried again, since the reason may have been a disk that was
        temporarily not available.
        """
        rows = self._rows(
            "SELECT photo, png_name, png, digest, painted.key IS plan.key FROM plan"
            " LEFT JOIN painted USING (photo)"
        )
        todo = ((row[0],) for row in rows if not (row[4] and is_painted(PaintedFile(*row[:4]))))
        self._db.executemany("INSERT INTO todo VALUES (?)", todo)
        count = self._count("SELECT count(*) FROM todo")
        again = f"SELECT count(*) FROM todo JOIN plan USING (photo) JOIN failed ON {_FAILED}"
        new = count - self._count(again)
        if any(self._rows("SELECT 1 FROM failed LIMIT 1")):  # otherwise, write nothing
            self._db.execute("DELETE FROM failed")
        return count, new

    def todo(self) -> Iterator[PaintingTask]:
        """Return the photos to paint."""
        rows = self._rows(
            "SELECT photo, annotation, height, width, png_name, first_id, plan.key,"
            " annotation_digest, photo_digest, stuff_digest, earlier.split"
            " FROM todo JOIN plan USING (photo) LEFT JOIN earlier USING (photo)"
        )
        return map(_task, rows)

    def leave_out_failed(self) -> list[tuple[str, str]]:
        """Leave out the photos that could not be painted; return annotations and reasons."""
        failed = list(self._rows(f"SELECT annotation, message FROM plan JOIN failed ON {_FAILED}"))
        self.left_out = sorted([*self.left_out, *failed])
        self._db.execute(f"DELETE FROM plan WHERE EXISTS (SELECT 1 FROM failed WHERE {_FAILED})")
        return failed

    def earlier_splits(self) -> Mapping[str, str]:
        """Return the earlier splits by photo, read from the database one by one."""
        return Table(self._db, "earlier", "split", lambda split: split)

    def all_have_earlier_splits(self) -> bool:
        """Return whether every photo was assigned to a split earlier."""
        new = "SELECT count(*) FROM plan WHERE photo NOT IN (SELECT photo FROM earlier)"
        return not self._count(new)

    def keep_earlier_splits(self) -> None:
        """Assign every photo to its earlier split."""
        self._db.execute(
            "UPDATE plan SET split = (SELECT split FROM earlier WHERE earlier.photo = plan.photo)"
        )

    def set_splits(self, splits: Mapping[str, str]) -> None:
        """Assign photos to splits."""
        rows = ((split, photo) for photo, split in splits.items())
        self._db.executemany("UPDATE plan SET split = ? WHERE photo = ?", rows)

    def contents(self) -> Contents:
        """Return the planned contents of the set."""
        return Contents(self.store)


def _task(row: Sequence[Any]) -> PaintingTask:
    """Make a task from photo, annotation, size, PNG, first id, key, digests and earlier split."""
    name, annotation, height, width, png_name, first, key, drawn, seen, stuff, split = row
    folder = NEW if split is None else f"panoptic_{split}"
    photo = Photo(first, name, width, height, png_name, ())
    digests = Digests(annotation=drawn, photo=seen, stuff=stuff)
    return PaintingTask(photo, annotation, f"{folder}/{png_name}", key, digests)
