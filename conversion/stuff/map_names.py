"""Which label map belongs to which photo: found by name, regardless of case and Unicode form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotation.photos.listing import PHOTO_SUFFIXES, list_files
from base.errors import InputError
from base.naming import fold
from conversion.coco.index import coco_id

_SUFFIX = ".png"
MOST_EXAMPLES = 3


@dataclass(frozen=True)
class MapNames:
    """The maps of photos; names are relative, with slashes.

    To save memory, only exceptions are stored: `elsewhere` has the maps that are not at the first
    existing one of `usual_places`, and `ambiguous` the reason why a photo's map is not clear.
    `unmatched` are pictures that belong to no photo.
    """

    folder: Path
    by_id: bool = False
    elsewhere: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()

    def find(self, photo: str) -> Path | None:
        """Return the map of a photo, or None; raises InputError if it is ambiguous."""
        if photo in self.ambiguous:
            raise InputError(self.ambiguous[photo])
        if photo in self.elsewhere:
            return self.folder / self.elsewhere[photo]
        places = (f"{self.folder}/{place}" for place in usual_places(photo, by_id=self.by_id))
        return next((Path(path) for path in places if os.path.isfile(path)), None)  # noqa: PTH113 (is called for every photo)


def usual_places(photo: str, *, by_id: bool) -> Iterator[str]:
    """Yield the names that the map of a photo may have: `a/b.jpg.png`, then `a/b.png`.

    With `by_id`, these are followed by `b.png` and the number in the name of a COCO photo.
    """
    yield f"{photo}{_SUFFIX}"
    short = f"{photo.rpartition('.')[0]}{_SUFFIX}"
    yield short
    if by_id:
        if "/" in short:
            yield short.rpartition("/")[2]
        if (number := coco_id(photo)) is not None:
            yield f"{number:012}{_SUFFIX}"


def match_maps(folder: Path, photos: Iterable[str], *, by_id: bool = False) -> MapNames:
    """Match the PNGs below `folder` with photos, given by their names below `images/`.

    A photo has the map at the first of its usual places; the exact spelling takes precedence over
    one that differs in case or Unicode form. A map that is the first one of several photos is
    ambiguous, and so is a place with several maps of which none has the exact spelling.
    """
    start = len(str(folder)) + 1
    files = [text[start:].replace(os.sep, "/") for text in list_files(PHOTO_SUFFIXES, folder).texts]
    by_key: dict[str, list[str]] = {}
    for name in files:
        if fold(name).endswith(_SUFFIX):
            by_key.setdefault(fold(name), []).append(name)
    chosen: dict[str, list[str]] = {}  # by map: the photos that it may belong to
    elsewhere: dict[str, str] = {}
    ambiguous: dict[str, str] = {}
    for photo in photos:
        place, found = _first(photo, by_key, by_id=by_id)
        if len(found) > 1:
            ambiguous[photo] = _several(folder, found, f"could be the map of {photo}")
        elif found:
            chosen.setdefault(found[0], []).append(photo)
            if found[0] != place:
                elsewhere[photo] = found[0]
    for name, owners in chosen.items():
        if len(owners) > 1:
            which = f"could be the map of {' or '.join(owners[:MOST_EXAMPLES])}"
            fix = (
                f"; use the full file name of the photo for each map, such as {owners[0]}{_SUFFIX}"
            )
            ambiguous |= dict.fromkeys(owners, f"{folder / name}: {which}{fix}")
    used = chosen.keys()
    unmatched = () if by_id else tuple(name for name in files if name not in used)
    return MapNames(folder, by_id, elsewhere, ambiguous, unmatched)


def _first(photo: str, by_key: dict[str, list[str]], *, by_id: bool) -> tuple[str, Sequence[str]]:
    """Return the first place where there are maps, and the maps that are there."""
    for place in usual_places(photo, by_id=by_id):
        found = by_key.get(fold(place), [])
        if place in found:
            return place, [place]
        if found:
            return place, found
    return "", []


def _several(folder: Path, maps: Sequence[str], which: str) -> str:
    names = " and ".join(maps[:MOST_EXAMPLES])
    return f"{folder}: each of {names} {which}; keep one of them"
