"""Where the photos of a set came from: `collected.jsonl` for programs, `photos.csv` for people.

`collected.jsonl` has one line per photo, which is written before the photo itself. `photos.csv` is
written last, from these lines, so that the next run completes a run that was interrupted.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from annotation.intake.cleaning import RefusedError, clean_photo
from annotation.photos.groups import GroupTable, read_group_table
from annotation.photos.likeness import near_pairs
from annotation.photos.listing import list_photos
from base.errors import InputError
from base.files import digest, naming_full_disk, read_regular, write_bytes
from base.progress import track
from base.syncing import sync_folder


@dataclass(frozen=True)
class Origin:
    """One photo: its name in `images/`, and digests of the original and of the stored file.

    Photos with the same `source` belong in one split. `likeness` is the 64-bit perceptual hash.
    """

    image: str
    original: str
    stored: str
    source: str
    likeness: int


@dataclass(frozen=True)
class NearDuplicate:
    """A photo that looks like an earlier one; their hashes differ in `distance` of 64 bits."""

    image: str
    earlier: str
    distance: int
    same_source: bool


def read_origins(root: Path) -> list[Origin]:
    """Read the origins of the photos that exist, and remove the lines of others from the file.

    An interrupted run leaves a line without its photo, or an incomplete line; a power cut may fill
    the end of the file with zeros. Raises InputError if a line is damaged.
    """
    path = root / "collected.jsonl"
    data = read_regular(path) if path.is_file() else b""
    *complete, _ = data.rstrip(b"\0").split(b"\n")
    origins = [
        _parse(line, f"{path}: line {number}") for number, line in enumerate(complete, start=1)
    ]
    existing = [origin for origin in origins if (root / "images" / origin.image).is_file()]
    kept = b"".join(map(_line, existing))
    if kept != data:
        write_bytes(path, kept, durable=True)
    return existing


def _parse(line: bytes, where: str) -> Origin:
    try:
        return msgspec.json.decode(line, type=Origin)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where}: is not a record of a photo: {error}") from None


def append_origin(root: Path, origin: Origin) -> None:
    """Append a line; must be called before the photo is written, so that it is recognised later.

    The line is on the disk when this returns.
    """
    path, line = root / "collected.jsonl", _line(origin)
    new = not path.exists()
    with naming_full_disk(path, size=len(line)), path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(root)


def _line(origin: Origin) -> bytes:
    return msgspec.json.encode(origin) + b"\n"


def record_other_photos(root: Path, known: Iterable[Origin]) -> Iterator[Origin]:
    """Record the photos that were copied into `images/` by hand, each as a source of its own."""
    names = {origin.image for origin in known}
    images = root / "images"
    photos = list_photos(images) if images.is_dir() else []
    unknown = [path for path in photos if path.relative_to(images).as_posix() not in names]
    for path in track(unknown, "inspect"):
        name = path.relative_to(images).as_posix()
        try:
            data = read_regular(path)
            likeness = clean_photo(data).likeness
        except (OSError, RefusedError):
            continue  # `validate` reports it
        origin = Origin(name, digest(data), digest(data), f"images/{name}", likeness)
        append_origin(root, origin)
        yield origin


def find_near_duplicates(
    origins: Sequence[Origin],
) -> tuple[list[tuple[int, int]], list[NearDuplicate]]:
    """Find the photos that look alike.

    Returns links, pairs of indices (earlier, later) that connect all of them, and for each later
    photo the nearest earlier one. Photos with equal hashes are linked only to the first of them: a
    static camera yields one link per frame, not one per pair of frames.
    """
    first: dict[int, int] = {}
    for index, origin in enumerate(origins):
        first.setdefault(origin.likeness, index)
    distinct = list(first)
    links = [(first[distinct[a]], first[distinct[b]]) for a, b in near_pairs(distinct)]
    links += [(first[o.likeness], i) for i, o in enumerate(origins) if first[o.likeness] != i]
    links.sort(key=lambda link: (link[1], link[0]))
    nearest: dict[int, tuple[int, int]] = {}  # of a later photo: distance, earlier photo
    for i, j in links:
        distance = (origins[i].likeness ^ origins[j].likeness).bit_count()
        nearest[j] = min(nearest.get(j, (distance, i)), (distance, i))
    return links, [
        _near_duplicate(origins[j], origins[i], distance) for j, (distance, i) in nearest.items()
    ]


def _near_duplicate(later: Origin, earlier: Origin, distance: int) -> NearDuplicate:
    return NearDuplicate(later.image, earlier.image, distance, later.source == earlier.source)


def read_groups(root: Path) -> GroupTable:
    """Read `photos.csv` of a set; an empty table if the file does not exist.

    Raises InputError as `read_group_table` does.
    """
    path = root / "photos.csv"
    return read_group_table(path) if path.exists() else GroupTable("source", ())


def write_groups(root: Path, table: GroupTable, groups: Mapping[str, str]) -> None:
    """Write `photos.csv`: the existing rows, then rows for the photos that have none."""
    old = dict(table.rows)
    new = [(image, group) for image, group in groups.items() if image not in old]
    if not new:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("image", table.column), *table.rows, *new])
    write_bytes(root / "photos.csv", text.getvalue().encode(), durable=True)


def group_photos(
    origins: Sequence[Origin],
    table: GroupTable,
    *,
    links: Iterable[tuple[int, int]],
    shared: Iterable[tuple[str, str]],
) -> dict[str, str]:
    """Return the group of each photo; linked photos and `shared` sources get the same group.

    A joined group has the name of one of its sources, as in `_Groups`. Existing rows never change,
    not even if a new photo looks like photos of two groups.
    """
    rows = dict(table.rows)
    joined = _Groups(fixed=rows.values())
    for origin in origins:
        if origin.image in rows:  # later frames of its video join its group
            joined.join(rows[origin.image], origin.source)
    group = [rows.get(origin.image, origin.source) for origin in origins]
    for earlier, later in [*shared, *((group[i], group[j]) for i, j in links)]:
        joined.join(earlier, later)
    return {
        origin.image: rows.get(origin.image) or joined.name(origin.source) for origin in origins
    }


class _Groups:
    """Names of groups that are joined step by step (union-find); two fixed groups are never joined.

    scipy's DisjointSet is not suitable, because it chooses the root of a set by size. Here, the
    root is the name of the group: the fixed one, or else that of the `earlier` argument when two
    groups are joined. This is not always the earliest of all: after the joins (0, 2) and (1, 2),
    the group has the name of 1.
    """

    def __init__(self, *, fixed: Iterable[str]) -> None:
        self._fixed = set(fixed)
        self._joined: dict[str, str] = {}

    def name(self, group: str) -> str:
        while group in self._joined:
            group = self._joined[group]
        return group

    def join(self, earlier: str, later: str) -> None:
        a, b = self.name(earlier), self.name(later)
        if b in self._fixed:
            a, b = b, a
        if a != b and b not in self._fixed:
            self._joined[b] = a
