"""The ids in the annotations of a COCO file, and what the file means by `iscrowd`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from conversion.coco.problems import Problems

Id = int | str  # some tools write ids as strings
FIRST_COCO_CROWD = 900_000_000_000  # COCO gives its own crowds ids such as 900100448263
_ONE = {"image_id": "an image", "category_id": "a category"}
_SEVERAL = {"image_id": "images", "category_id": "categories"}


@dataclass(frozen=True)
class CrowdUse:
    """How a file uses `iscrowd`: numbers of annotations.

    `other_crowds` are crowds without an RLE, and `coco_crowds` those with an id that only COCO's
    own files use.
    """

    rles: int = 0
    rle_crowds: int = 0
    other_crowds: int = 0
    coco_crowds: int = 0

    @property
    def means_rle(self) -> bool:
        """Whether `iscrowd` only says that an annotation is an RLE.

        CVAT, Datumaro, supervision and pycococreator write every mask as a crowd, because COCO's
        own crowds are its only RLEs.
        """
        own = self.coco_crowds and self.coco_crowds == self.rle_crowds
        return 0 < self.rles == self.rle_crowds and not self.other_crowds and not own


@dataclass(frozen=True, eq=False)
class Links:
    """The annotations of a file by image, as indices and encoded JSON, and what they refer to."""

    of_image: dict[Id, list[tuple[int, msgspec.Raw]]]
    categories: frozenset[Id]  # that annotations use
    has_segments: bool
    count: int
    crowds: CrowdUse
    last_id: int  # the highest id that is a number; segments included


class _SegmentLink(msgspec.Struct):
    category_id: Id
    id: Id | None = None


class _Link(msgspec.Struct):
    """The ids in an annotation; a panoptic one has a category for each segment."""

    image_id: Id
    category_id: Id | None = None
    segments_info: list[_SegmentLink] | None = None
    id: Id | None = None
    iscrowd: float | bool | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def ids(self) -> list[int]:
        """The ids of the annotation or its segments that are numbers."""
        found = [self.id, *(segment.id for segment in self.segments_info or ())]
        return [one for one in found if isinstance(one, int)]

    @property
    def category_ids(self) -> list[Id | None]:
        if self.segments_info is None:
            return [self.category_id]
        return [segment.category_id for segment in self.segments_info]


def read_links(
    path: Path,
    raw: Sequence[msgspec.Raw],
    images: Collection[Id] | None,
    categories: Collection[Id] | None,
    problems: Problems,
) -> Links:
    """Read the ids of all annotations, and compare them with those of images and categories.

    `images` or `categories` are None if not all of them are known; they are then not compared.
    """
    links: list[tuple[int, _Link]] = []
    for place, one in enumerate(raw):
        with problems.collecting(f"{path}: annotations[{place}]"):
            links.append((place, msgspec.json.decode(one, type=_Link, strict=False)))
    image_uses = ((place, None, link.image_id) for place, link in links)
    _check_ids(path, "image_id", image_uses, images, problems)
    _check_ids(path, "category_id", _category_uses(links), categories, problems)
    of_image: dict[Id, list[tuple[int, msgspec.Raw]]] = {}
    for place, link in links:
        of_image.setdefault(link.image_id, []).append((place, raw[place]))
    return Links(
        of_image=of_image,
        categories=frozenset(i for _, link in links for i in link.category_ids if i is not None),
        has_segments=any(link.segments_info is not None for _, link in links),
        count=len(links),
        crowds=_crowd_use(links),
        last_id=max((i for _, link in links for i in link.ids), default=0),
    )


def _crowd_use(links: Sequence[tuple[int, _Link]]) -> CrowdUse:
    counts: Counter[str] = Counter()
    for _, link in links:
        is_rle = bytes(link.segmentation).startswith(b"{")
        counts["rles"] += is_rle
        if link.iscrowd:
            counts["rle_crowds" if is_rle else "other_crowds"] += 1
            counts["coco_crowds"] += isinstance(link.id, int) and link.id > FIRST_COCO_CROWD
    return CrowdUse(**counts)


def _check_ids(
    path: Path,
    key: Literal["image_id", "category_id"],
    uses: Iterable[tuple[int, int | None, Id | None]],
    known: Collection[Id] | None,
    problems: Problems,
) -> None:
    """Report ids that are not `known`; if all are known in their other form, as one problem.

    `uses` are the index of an annotation, that of its segment, or None if it has none, and the id.
    """
    if known is None:
        return
    wrong = [(place, segment, one) for place, segment, one in uses if one not in known]
    mixed = all(_other_form(one) in known for _, _, one in wrong)
    for place, segment, one in wrong[:1] if mixed else wrong:
        inner = "" if segment is None else f"segments_info[{segment}]: "
        what = _mixed(key, one) if mixed else f"expected the id of {_ONE[key]}, found {one!r}"
        problems.add(f"{path}: annotations[{place}]: {inner}{key}: {what}")


def _category_uses(
    links: Sequence[tuple[int, _Link]],
) -> Iterator[tuple[int, int | None, Id | None]]:
    for place, link in links:
        for number, one in enumerate(link.category_ids):
            yield place, None if link.segments_info is None else number, one


def _other_form(one: Id | None) -> Id | None:
    """Return an id as a number if it is text, and as text if it is a number."""
    if isinstance(one, str):
        return int(one) if one.isascii() and one.isdigit() and len(one) < 19 else None
    return None if one is None else str(one)


def _mixed(key: str, one: Id | None) -> str:
    kinds = ("text", "numbers") if isinstance(one, str) else ("a number", "text")
    what = _SEVERAL[key]
    return (
        f"expected an id like those of {what}, which are {kinds[1]}; found {one!r}, which is"
        f" {kinds[0]}; write both in the same way"
    )
