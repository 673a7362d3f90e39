"""Where the photos of a set came from: `collected.jsonl` for this program, `photos.csv` for people.

`collected.jsonl` has a line for each photo, written before the photo itself. `photos.csv` is
written last, from that record, so that a run which was stopped is completed by the next one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from annotation.intake.cleaning import RefusedError, clean_photo
from annotation.photos.groups import GroupTable, read_group_table
from annotation.photos.likeness import near_pairs
from annotation.photos.listing import list_photos
from base.errors import InputError
from base.files import digest, write_bytes
from base.progress import track


@dataclass(frozen=True)
class Origin:
    """One photo: its name in `images/`, digests of what it was made from and of its own file.

    Photos of one `source` belong into one split; `likeness` is the 64-bit perceptual hash.
    """

    image: str
    original: str
    stored: str
    source: str
    likeness: int


@dataclass(frozen=True)
class Alike:
    """A photo that looks like an earlier one; their hashes differ in `distance` of 64 bits."""

    image: str
    earlier: str
    distance: int
    same_source: bool


def read_record(root: Path) -> list[Origin]:
    """The origins of the photos that are there; lines of others are taken out of the file.

    A line without its photo, or half a line, is what a stopped run leaves behind.
    """
    path = root / "collected.jsonl"
    data = path.read_bytes() if path.is_file() else b""
    *whole, _ = data.split(b"\n")
    origins = [_parse(line, f"{path}: line {number}") for number, line in enumerate(whole, start=1)]
    there = [origin for origin in origins if (root / "images" / origin.image).is_file()]
    kept = b"".join(map(_line, there))
    if kept != data:
        write_bytes(path, kept)
    return there


def _parse(line: bytes, where: str) -> Origin:
    try:
        return msgspec.json.decode(line, type=Origin)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: is no record of a photo: {error}") from None


def append_record(root: Path, origin: Origin) -> None:
    """Add a line. To be done before the photo is written: what was made must be known again."""
    with (root / "collected.jsonl").open("ab") as file:
        file.write(_line(origin))


def _line(origin: Origin) -> bytes:
    return msgspec.json.encode(origin) + b"\n"


def adopt_photos(root: Path, known: Iterable[Origin]) -> Iterator[Origin]:
    """Record photos that came into `images/` by other ways, each as its own source."""
    names = {origin.image for origin in known}
    images = root / "images"
    photos = list_photos(images) if images.is_dir() else []
    strange = [path for path in photos if path.relative_to(images).as_posix() not in names]
    for path in track(strange, "look"):
        name = path.relative_to(images).as_posix()
        try:
            data = path.read_bytes()
            likeness = clean_photo(data).likeness
        except (OSError, RefusedError):
            continue  # `validate` speaks of it
        origin = Origin(name, digest(data), digest(data), f"images/{name}", likeness)
        append_record(root, origin)
        yield origin


def find_alike(origins: Sequence[Origin]) -> tuple[list[tuple[int, int]], list[Alike]]:
    """Links (earlier, later) that join all photos which look alike, and one Alike a later photo.

    Equal hashes are linked to their first photo only, so that the frames of a camera that stands
    still make as many links as there are frames, not as many as there are pairs of them.
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
    return links, [_alike(origins[j], origins[i], distance) for j, (distance, i) in nearest.items()]


def _alike(later: Origin, earlier: Origin, distance: int) -> Alike:
    return Alike(later.image, earlier.image, distance, later.source == earlier.source)


def read_groups(root: Path) -> GroupTable:
    """Read `photos.csv` of a set; an empty table if the file does not exist.

    Raises InputError as `read_group_table` does.
    """
    path = root / "photos.csv"
    return read_group_table(path) if path.exists() else GroupTable("source", ())


def write_groups(root: Path, table: GroupTable, groups: Mapping[str, str]) -> None:
    """Complete `photos.csv`: the rows that were there, then the photos that had none."""
    old = dict(table.rows)
    new = [(image, group) for image, group in groups.items() if image not in old]
    if not new:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("image", table.column), *table.rows, *new])
    write_bytes(root / "photos.csv", text.getvalue().encode())


def group_photos(
    origins: Sequence[Origin],
    table: GroupTable,
    *,
    links: Iterable[tuple[int, int]],
    shared: Iterable[tuple[str, str]],
) -> dict[str, str]:
    """The group of each photo, so that linked photos and `shared` sources are in one.

    A group is called like its earliest source. Rows that were there before stay as they are, even
    where a new photo looks like two of them.
    """
    rows = dict(table.rows)
    joined = _Groups(fixed=rows.values())
    for origin in origins:
        if origin.image in rows:  # later frames of its video follow it
            joined.join(rows[origin.image], origin.source)
    group = [rows.get(origin.image, origin.source) for origin in origins]
    for earlier, later in [*shared, *((group[i], group[j]) for i, j in links)]:
        joined.join(earlier, later)
    return {
        origin.image: rows.get(origin.image) or joined.name(origin.source) for origin in origins
    }


class _Groups:
    """Names of groups that are joined step by step (union-find); two fixed groups are never joined.

    scipy's DisjointSet does not serve: it chooses the root of a set by size, but here the root is
    the name of the group, which is that of the earlier one or the fixed one.
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
