"""Reading a COCO file from any program: members are joined by id, problems are collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from annotation.photos.files import Size
from base.errors import InputError
from conversion.coco.links import CrowdUse, Id, Links, read_links
from conversion.coco.problems import Problems
from conversion.coco.text import JsonText, read_text, without_not_numbers

CROWDS_KEY, CROWDS_ARE_CROWDS = "iscrowd", "crowd"  # in `info` of files that this project writes
MEMBERS = ("images", "annotations", "categories")


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
    and annotations. `last_annotation_id` is the highest id that is a number. `not_numbers` counts
    NaN and infinities, which are read as missing values.
    """

    path: Path
    split: str
    panoptic: bool
    images: tuple[CocoImage, ...]
    categories: tuple[CocoCategory, ...]
    used: frozenset[Id]
    header: dict[str, Any]
    crowds: CrowdUse
    last_annotation_id: int = 0
    not_numbers: int = 0

    @property
    def last_image_id(self) -> int:
        """The highest id of an image that is a number."""
        ids = (image.values.get("id") for image in self.images)
        return max((int(one) for one in ids if isinstance(one, int | float)), default=0)

    @property
    def crowds_mean_rle(self) -> bool:
        """Whether `iscrowd` only marks RLEs, and the file does not say that it marks crowds."""
        info = self.header.get("info")
        declared = isinstance(info, dict) and info.get(CROWDS_KEY) == CROWDS_ARE_CROWDS
        return self.crowds.means_rle and not declared


class _Named(msgspec.Struct):
    id: Id


class _ImageKeys(_Named):
    file_name: str
    width: int | None = None
    height: int | None = None


class _CategoryKeys(_Named):
    name: str
    isthing: int | bool | None = None
    supercategory: str | None = None


Named = TypeVar("Named", bound=_Named)


@dataclass(frozen=True)
class _Entries(Generic[Named]):
    """The entries of a list with their indices; `ids` is None if the id of one is not known.

    `ids` includes those of entries that cannot be read, because these are reported themselves.
    """

    entries: tuple[tuple[int, Named], ...]
    ids: frozenset[Id] | None


def read_coco(path: Path, split: str, problems: Problems) -> CocoFile | None:
    """Read one file; return None if it is JSON of another format.

    Raises InputError if it is not valid JSON.
    """
    text = _read_json(path)
    members = _members(text.data)
    if members is None:
        return None
    raw: dict[str, list[msgspec.Raw] | None] = {}
    for name in MEMBERS:
        raw[name] = None
        with problems.collecting(f"{path}: {name}"):
            raw[name] = msgspec.json.decode(members[name], type=list[msgspec.Raw])
    header: dict[str, Any] = {}
    for name in sorted(members.keys() - {"images", "annotations"}):
        with problems.collecting(f"{path}: {name}"):
            header[name] = msgspec.json.decode(members[name])
    categories = _read_entries(f"{path}: categories", raw["categories"], _CategoryKeys, problems)
    images = _read_entries(f"{path}: images", raw["images"], _ImageKeys, problems)
    links = read_links(path, raw["annotations"] or [], images.ids, categories.ids, problems)
    return CocoFile(
        path=path,
        split=split,
        panoptic=links.has_segments or (not links.count and path.stem.startswith("panoptic")),
        images=tuple(
            _image(path, place, image, (raw["images"] or [])[place], links)
            for place, image in images.entries
        ),
        categories=tuple(_category(keys) for _, keys in categories.entries),
        used=links.categories,
        header=header,
        crowds=links.crowds,
        last_annotation_id=links.last_id,
        not_numbers=text.not_numbers,
    )


def _read_json(path: Path) -> JsonText:
    """Read the text of a file; raises InputError if it is not valid JSON."""
    data = read_text(path)
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        return JsonText(data)
    except RecursionError:
        raise InputError(f"{path}: is not valid JSON: it is nested too deeply") from None
    except msgspec.DecodeError as error:
        text = without_not_numbers(data)
        try:
            msgspec.json.decode(text.data, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            raise InputError(f"{path}: is not valid JSON: {error}") from None
        return text


def _members(data: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:  # a list, such as COCO results
        return None
    return members if members.keys() >= set(MEMBERS) else None


def _read_entries(
    where: str, raw: Sequence[msgspec.Raw] | None, kind: type[Named], problems: Problems
) -> _Entries[Named]:
    """Read images or categories; whole numbers written as 1.0 are accepted."""
    found: dict[Id, tuple[int, Named]] = {}
    broken: set[Id] = set()
    complete = raw is not None
    for place, one in enumerate(raw or ()):
        try:
            keys = msgspec.json.decode(one, type=kind, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            with problems.collecting(f"{where}[{place}]"):
                msgspec.json.decode(one, type=kind, strict=False)
            try:
                broken.add(msgspec.json.decode(one, type=_Named, strict=False).id)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                complete = False
            continue
        if keys.id in found:
            problems.add(f"{where}[{place}]: id {keys.id} appears twice")
        found[keys.id] = (place, keys)
    return _Entries(tuple(found.values()), frozenset(found) | broken if complete else None)


def _category(keys: _CategoryKeys) -> CocoCategory:
    isthing = None if keys.isthing is None else bool(keys.isthing)
    return CocoCategory(keys.id, keys.name, isthing, keys.supercategory)


def _image(
    path: Path,
    place: int,
    keys: _ImageKeys,
    raw: msgspec.Raw,
    links: Links,
) -> CocoImage:
    size = None if keys.width is None or keys.height is None else (keys.height, keys.width)
    return CocoImage(
        where=f"{path}: images[{place}]",
        file_name=keys.file_name,
        size=size,
        values=msgspec.json.decode(raw),
        annotations=tuple(links.of_image.get(keys.id, ())),
    )
