"""What a planned and painted set contains, read from the database row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from conversion.building.painter import Digests
from conversion.building.store import Store
from conversion.building.table import Table

_PNG = "'panoptic_' || split || '/' || png_name"
_PAINTED = "plan JOIN painted USING (photo)"
Piece = Literal["image", "panoptic", "instances", "counts", "changes"]


class Contents:
    """The contents of a set whose photos are painted and assigned to splits.

    Photos are in the order of their names. Paths of PNGs are below `panoptic/`.
    """

    def __init__(self, store: Store) -> None:
        self.store, self._db = store, store.connection

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        return iter(self._db.execute(query, values))

    def photos(self, split: str | None = None) -> Iterator[str]:
        """Return the names of all photos, or of one split."""
        return self._column("photo", split)

    def png_names(self, split: str) -> Iterator[str]:
        """Return the names of the PNGs of one split."""
        return self._column("png_name", split)

    def pieces(self, name: Piece, split: str | None = None) -> Iterator[bytes]:
        """Return one column of the painted photos, such as their parts of a JSON file."""
        return self._column(name, split, table=_PAINTED)

    def _column(self, name: str, split: str | None, *, table: str = "plan") -> Iterator[Any]:
        where, values = ("", ()) if split is None else ("WHERE split = ?", (split,))
        rows = self._rows(f"SELECT {name} FROM {table} {where} ORDER BY photo", *values)
        return (value for (value,) in rows)

    def has_photo(self, split: str, name: str) -> bool:
        """Return whether a photo belongs to a split."""
        query = "SELECT 1 FROM plan WHERE photo = ? AND split = ?"
        return any(self._rows(query, name, split))

    def has_png(self, split: str, name: str) -> bool:
        """Return whether a PNG belongs to a split."""
        query = "SELECT 1 FROM plan WHERE png_folded = ? AND png_name = ? AND split = ?"
        return any(self._rows(query, name.lower(), name, split))

    def sizes(self) -> dict[str, int]:
        """Return the number of photos by split."""
        return dict(self._rows("SELECT split, count(*) FROM plan GROUP BY split"))

    def splits(self) -> Iterator[tuple[str, str]]:
        """Return every photo and its split, including photos that are currently missing."""
        return self._rows(
            "SELECT photo, split FROM plan UNION ALL SELECT photo, split FROM earlier"
            " WHERE photo NOT IN (SELECT photo FROM plan) ORDER BY photo"
        )

    def inputs(self) -> Iterator[tuple[bytes, str]]:
        """Return the key and the PNG of every photo."""
        return self._rows(f"SELECT key, {_PNG} FROM plan ORDER BY photo")

    def photo_digests(self) -> Iterator[tuple[str, bytes]]:
        """Return the digest of every photo."""
        return self._rows("SELECT photo, photo_digest FROM plan ORDER BY photo")

    def counts(self) -> Mapping[str, dict[int, int]]:
        """Return the number of segments by category for every photo."""
        return Table(self._db, _PAINTED, "counts", _decode_counts)

    def entries(self) -> Iterator[tuple[str, str, Digests, bytes]]:
        """Return photo, PNG, digests and what the rules changed (JSON) for every photo."""
        for name, png, annotation, photo, stuff, changes in self._rows(
            f"SELECT photo, {_PNG}, annotation_digest, photo_digest, stuff_digest, changes"
            f" FROM {_PAINTED} ORDER BY photo"
        ):
            yield name, png, Digests(annotation, photo, stuff), changes

    def moves(self) -> Iterator[tuple[str, str]]:
        """Return the current and the final path of each PNG that has to be moved."""
        return self._rows(f"SELECT png, {_PNG} FROM {_PAINTED} WHERE png != {_PNG}")

    def mark_moved(self) -> None:
        """Record that every PNG is at its final path."""
        self._db.execute(
            f"UPDATE painted SET png = (SELECT {_PNG} FROM plan WHERE plan.photo = painted.photo)"
            f" WHERE photo IN (SELECT photo FROM {_PAINTED} WHERE png != {_PNG})"
        )
        self.store.commit()


def _decode_counts(data: bytes) -> dict[int, int]:
    return msgspec.json.decode(data, type=dict[int, int])
