"""Reading a COCO file from any program: members are joined by id, problems are collected."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from annotation.photos.files import Size
from base.errors import InputError
from base.files import check_regular

Id = int | str  # some tools write ids as strings
MOST_BYTES = 4 << 30  # of one file; the largest of COCO has 0.5 GB
MOST_PROBLEMS = 20  # in the list; the others are only counted
MEMBERS = ("images", "annotations", "categories")


class Problems:
    """Problems of a source, collected so that they are all reported at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []  # the first ones
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.lines) < MOST_PROBLEMS:
            self.lines.append(line)

    def extend(self, others: Problems) -> None:
        for line in others.lines:
            self.add(line)
        self.count += others.count - len(others.lines)

    @contextmanager
    def collecting(self, where: str) -> Iterator[None]:
        """Turn an error raised in the block into a problem at `where`."""
        try:
            yield
        except (InputError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.add(f"{where}: {error}")
        except OSError as error:  # for example, a name that is longer than the system allows
            self.add(f"{where}: {error.strerror}")
        except RecursionError:
            self.add(f"{where}: is nested too deeply")

    def raise_if_any(self) -> None:
        """Raise one InputError with a line for each problem, if there are any."""
        if self.lines:
            more = self.count - len(self.lines)
            rest = [f"... and {more:,} more"] if more else []
            raise InputError("\n".join([*self.lines, *rest]))


@dataclass(frozen=True)
class CocoCategory:
    """A category of a file; `isthing` is None if the file does not state it."""

    id: Id
    name: str
    isthing: bool | None
    supercategory: str | None

    @property
    def label(self) -> str:
        """The name as a Labelme label, without surrounding spaces."""
        return self.name.strip()


@dataclass(frozen=True, eq=False)
class CocoImage:
    """One image and its annotations as encoded JSON, each with its index in the file."""

    where: str
    file_name: str
    size: Size | None
    values: dict[str, Any]
    annotations: tuple[tuple[int, msgspec.Raw], ...]


@dataclass(frozen=True, eq=False)
class CocoFile:
    """One COCO file; `split` comes from its name or folder, and is "" if neither has one.

    `used` are the ids of the categories that annotations use. `header` is everything except images
    and annotations.
    """

    path: Path
    split: str
    panoptic: bool
    images: tuple[CocoImage, ...]
    categories: tuple[CocoCategory, ...]
    used: frozenset[Id]
    header: dict[str, Any]


class _ImageKeys(msgspec.Struct):
    id: Id
    file_name: str
    width: int | None = None
    height: int | None = None


class _CategoryKeys(msgspec.Struct):
    id: Id
    name: str
    isthing: int | bool | None = None
    supercategory: str | None = None


class _SegmentLink(msgspec.Struct):
    category_id: Id


class _Link(msgspec.Struct):
    """The ids in an annotation; a panoptic one has a category for each segment."""

    image_id: Id
    category_id: Id | None = None
    segments_info: list[_SegmentLink] | None = None

    @property
    def category_ids(self) -> list[Id | None]:
        if self.segments_info is None:
            return [self.category_id]
        return [segment.category_id for segment in self.segments_info]


def read_coco(path: Path, split: str, problems: Problems) -> CocoFile | None:
    """Read one file; return None if it is JSON of another format.

    Raises InputError if it is not valid JSON.
    """
    members = _read_members(path)
    if members is None:
        return None
    raw: dict[str, list[msgspec.Raw]] = {name: [] for name in MEMBERS}
    for name in MEMBERS:
        with problems.collecting(f"{path}: {name}"):
            raw[name] = msgspec.json.decode(members[name], type=list[msgspec.Raw])
    header: dict[str, Any] = {}
    for name in sorted(members.keys() - {"images", "annotations"}):
        with problems.collecting(f"{path}: {name}"):
            header[name] = msgspec.json.decode(members[name])
    categories = _read_categories(path, raw["categories"], problems)
    keys = _read_image_keys(path, raw["images"], problems)
    links = _read_links(path, raw["annotations"], problems)
    _check_links(path, links, {k.id for _, k in keys}, {c.id for c in categories}, problems)
    by_image: dict[Id, list[tuple[int, msgspec.Raw]]] = {}
    for place, link in links:
        by_image.setdefault(link.image_id, []).append((place, raw["annotations"][place]))
    has_segments = any(link.segments_info is not None for _, link in links)
    return CocoFile(
        path=path,
        split=split,
        panoptic=has_segments or (not links and path.stem.startswith("panoptic")),
        images=tuple(
            _image(path, place, image, raw["images"][place], by_image.get(image.id, []))
            for place, image in keys
        ),
        categories=categories,
        used=frozenset(i for _, link in links for i in link.category_ids if i is not None),
        header=header,
    )


def _read_members(path: Path) -> dict[str, msgspec.Raw] | None:
    try:
        check_regular(path, most_bytes=MOST_BYTES)
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:  # a list, such as COCO results
        return None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None
    return members if members.keys() >= set(MEMBERS) else None


def _read_categories(
    path: Path, raw: Sequence[msgspec.Raw], problems: Problems
) -> tuple[CocoCategory, ...]:
    found: dict[Id, CocoCategory] = {}
    for place, one in enumerate(raw):
        where = f"{path}: categories[{place}]"
        with problems.collecting(where):
            keys = msgspec.json.decode(one, type=_CategoryKeys)
            if keys.id in found:
                problems.add(f"{where}: id {keys.id} appears twice")
            isthing = None if keys.isthing is None else bool(keys.isthing)
            found[keys.id] = CocoCategory(keys.id, keys.name, isthing, keys.supercategory)
    return tuple(found.values())


def _read_image_keys(
    path: Path, raw: Sequence[msgspec.Raw], problems: Problems
) -> list[tuple[int, _ImageKeys]]:
    found: dict[Id, tuple[int, _ImageKeys]] = {}
    for place, one in enumerate(raw):
        where = f"{path}: images[{place}]"
        with problems.collecting(where):
            keys = msgspec.json.decode(one, type=_ImageKeys)
            if keys.id in found:
                problems.add(f"{where}: id {keys.id} appears twice")
            found[keys.id] = (place, keys)
    return list(found.values())


def _read_links(
    path: Path, raw: Sequence[msgspec.Raw], problems: Problems
) -> list[tuple[int, _Link]]:
    links = []
    for place, one in enumerate(raw):
        with problems.collecting(f"{path}: annotations[{place}]"):
            links.append((place, msgspec.json.decode(one, type=_Link)))
    return links


def _check_links(
    path: Path,
    links: Sequence[tuple[int, _Link]],
    images: set[Id],
    categories: set[Id],
    problems: Problems,
) -> None:
    for place, link in links:
        where = f"{path}: annotations[{place}]"
        if link.image_id not in images:
            problems.add(f"{where}: image_id: expected the id of an image, found {link.image_id!r}")
        for number, category in enumerate(link.category_ids):
            if category not in categories:
                inner = "" if link.segments_info is None else f"segments_info[{number}]: "
                expected = "category_id: expected the id of a category"
                problems.add(f"{where}: {inner}{expected}, found {category!r}")


def _image(
    path: Path,
    place: int,
    keys: _ImageKeys,
    raw: msgspec.Raw,
    annotations: Sequence[tuple[int, msgspec.Raw]],
) -> CocoImage:
    size = None if keys.width is None or keys.height is None else (keys.height, keys.width)
    return CocoImage(
        where=f"{path}: images[{place}]",
        file_name=keys.file_name,
        size=size,
        values=msgspec.json.decode(raw),
        annotations=tuple(annotations),
    )
