"""The photos of COCO files: found, measured, named."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from annotation.photos.files import Size, read_header
from annotation.photos.listing import PHOTO_SUFFIXES
from base.errors import InputError
from base.naming import Names, fold
from base.progress import track
from conversion.coco.file import CocoFile, CocoImage, Problems
from conversion.importing.labels import Labels, read_labels
from conversion.importing.source import find_photo, photo_folders


@dataclass(frozen=True, eq=False)
class Photo:
    """One image of a COCO file, its photo, and its name below `images/`."""

    file: CocoFile
    labels: Labels
    image: CocoImage
    path: Path
    size: Size
    name: str = ""

    @cached_property
    def place(self) -> Path:
        return self.path.resolve()


@dataclass(frozen=True, eq=False)
class Source:
    """One COCO file with its photos."""

    file: CocoFile
    labels: Labels
    photos: tuple[Photo, ...]

    @property
    def rank(self) -> int:
        """How much a file says of its photos, the least number the most."""
        return 0 if self.file.panoptic else 1 if self.file.path.name.startswith("instances") else 2


def locate_photos(file: CocoFile, images: Path | None, problems: Problems) -> Source:
    """Find a file's photos and compare their sizes; where none is there, that is one problem."""
    labels = read_labels(file, problems)
    folders = photo_folders(file, images)
    photos: list[Photo] = []
    missing, seen = Problems(), set[Path]()
    for image in track(file.images, "find photos"):
        with missing.collecting(image.where):
            path = find_photo(file, image, folders)
            if path in seen:
                raise InputError(f"photo '{image.file_name}' appears twice")
            seen.add(path)
            photos.append(Photo(file, labels, image, path, _size(image, path)))
    if missing.lines and not photos and len(missing.lines) > 1:
        problems.add(f"{file.path}: none of its {len(file.images):,} photos can be used")
        problems.add(missing.lines[0])
    else:
        problems.extend(missing)
    return Source(file, labels, tuple(photos))


def _size(image: CocoImage, path: Path) -> Size:
    """Height and width of a photo, which must be those that the file says."""
    if not path.name.lower().endswith(PHOTO_SUFFIXES) or path.name.startswith("."):
        suffixes = ", ".join(PHOTO_SUFFIXES)
        raise InputError(f"expected a photo's name that ends in {suffixes}, got '{path.name}'")
    header = read_header(path)
    if image.size is not None and image.size != header.size:
        turned = " once turned as its EXIF says" if header.turned else ""
        has, says = (f"{width}x{height}" for height, width in (header.size, image.size))
        raise InputError(f"expected {has} pixels as {path} has{turned}, got {says}")
    return header.size


def choose_files(
    sources: Sequence[Source], problems: Problems
) -> tuple[list[Source], list[Source]]:
    """The files to bring in, and those whose photos better ones have, too.

    Panoptic files say most; instances_*.json is better than person_keypoints_*.json beside it.
    """
    owner: dict[Path, Source] = {}
    skipped: list[Source] = []
    for one in sorted(sources, key=lambda one: one.rank):
        twins = [owner[photo.place] for photo in one.photos if photo.place in owner]
        if not twins:
            owner.update({photo.place: one for photo in one.photos})
        elif len(twins) == len(one.photos) and all(twin.rank < one.rank for twin in twins):
            skipped.append(one)
        else:
            other = twins[0].file.path
            message = f"{len(twins):,} of its photos are in {other}, too; bring in one of the files"
            problems.add(f"{one.file.path}: {message}")
    return [one for one in sources if one not in skipped], skipped


def name_photos(photos: Sequence[Photo]) -> list[Photo]:
    """Give each photo its name below `images/`: the stored one, folders included.

    Where two splits have the same name, all photos go into folders called like their split. Names
    that differ in their suffix only would share a Labelme file, so the later one gets a number.
    """
    stored = [_stored_name(photo.image) for photo in photos]
    if all(name.startswith("images/") for name in stored):  # as Label Studio has it
        stored = [name.removeprefix("images/") for name in stored]
    splits: dict[str, set[str]] = {}
    for photo, name in zip(photos, stored, strict=True):
        splits.setdefault(fold(posixpath.splitext(name)[0]), set()).add(photo.file.split)
    apart = any(len(several) > 1 for several in splits.values())
    names = Names([])
    result = []
    for photo, name in zip(photos, stored, strict=True):
        wish = f"{photo.file.split}/{name}" if apart and photo.file.split else name
        stem, suffix = posixpath.splitext(wish)
        result.append(replace(photo, name=names.take(stem) + suffix))
    return result


def _stored_name(image: CocoImage) -> str:
    return posixpath.normpath(image.file_name.replace("\\", "/"))
