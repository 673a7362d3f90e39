"""The photos of COCO files: where they are, their sizes, and their names in the data set."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from annotation.photos.files import Size, read_header
from annotation.photos.listing import PHOTO_SUFFIXES
from base.errors import InputError
from base.naming import Names, fold
from base.progress import track
from conversion.coco.file import CocoFile, CocoImage
from conversion.coco.problems import Problems
from conversion.importing.finding import FoundPhoto, PhotoFinder
from conversion.importing.labels import Labels, read_labels
from conversion.importing.options import ImportOptions


@dataclass(frozen=True, eq=False)
class ImportedPhoto:
    """One image of a COCO file, its photo, and the names of both below folders of the data set.

    `name` is that of the photo below `images/`, and `map_name` that of its label map.
    """

    file: CocoFile
    labels: Labels
    image: CocoImage
    found: FoundPhoto
    size: Size
    name: str = ""
    map_name: str = ""

    @property
    def path(self) -> Path:
        return self.found.path

    @cached_property
    def place(self) -> Path:
        return self.path.resolve()


@dataclass(frozen=True, eq=False)
class ImportedFile:
    """One COCO file with its photos."""

    file: CocoFile
    labels: Labels
    photos: tuple[ImportedPhoto, ...]

    @property
    def rank(self) -> int:
        """0 for files with the most information about their photos, 2 for those with the least."""
        return 0 if self.file.panoptic else 1 if self.file.path.name.startswith("instances") else 2


def locate_photos(
    file: CocoFile, options: ImportOptions, problems: Problems, *, without: Path
) -> ImportedFile:
    """Find a file's photos and compare their sizes; if all are missing, report one problem.

    Nothing in the folder `without` is a photo of the source.
    """
    labels = read_labels(file, options, problems)
    finder = PhotoFinder(file, options.images, without)
    photos: list[ImportedPhoto] = []
    missing, seen = Problems(), set[Path]()
    for image in track(file.images, "find photos"):
        with missing.collecting(image.where):
            found = finder.find(image)
            if found.path in seen:
                raise InputError(f"photo '{image.file_name}' appears twice: {found.path}")
            seen.add(found.path)
            photos.append(ImportedPhoto(file, labels, image, found, _size(image, found.path)))
    if missing.lines and not photos and len(missing.lines) > 1:
        problems.add(f"{file.path}: none of its {len(file.images):,} photos can be used")
        problems.add(missing.lines[0])
    else:
        problems.extend(missing)
    return ImportedFile(file, labels, tuple(photos))


def _size(image: CocoImage, path: Path) -> Size:
    """Return height and width of a photo; raises InputError if the file states another size."""
    if not path.name.lower().endswith(PHOTO_SUFFIXES) or path.name.startswith("."):
        suffixes = ", ".join(PHOTO_SUFFIXES)
        raise InputError(f"expected a photo name that ends in {suffixes}, found '{path.name}'")
    header = read_header(path)
    if image.size is not None and image.size != header.size:
        rotated = " after its EXIF rotation" if header.swaps_sides else ""
        expected, found = (f"{width}x{height}" for height, width in (header.size, image.size))
        raise InputError(f"expected {expected} pixels, the size of {path}{rotated}, found {found}")
    return header.size


def choose_files(
    files: Sequence[ImportedFile], problems: Problems
) -> tuple[list[ImportedFile], list[ImportedFile]]:
    """Return the files to import, and those whose photos are all in files with more information.

    Panoptic files have the most information, and instances_*.json have more than other files.
    """
    owner: dict[Path, ImportedFile] = {}
    skipped: list[ImportedFile] = []
    for one in sorted(files, key=lambda one: one.rank):
        twins = [owner[photo.place] for photo in one.photos if photo.place in owner]
        if not twins:
            owner.update({photo.place: one for photo in one.photos})
        elif len(twins) == len(one.photos) and all(twin.rank < one.rank for twin in twins):
            skipped.append(one)
        else:
            other = twins[0].file.path
            message = (
                f"photos that are also in {other}: {len(twins):,}; import only one of the files"
            )
            problems.add(f"{one.file.path}: {message}")
    return [one for one in files if one not in skipped], skipped


def name_photos(photos: Sequence[ImportedPhoto]) -> list[ImportedPhoto]:
    """Give each photo its name below `images/`: its path in the source, including folders.

    If two splits contain the same name, all photos go into folders named after their split. Names
    that differ only in their suffix would share a Labelme file, so the second gets a number.
    """
    stored = [photo.found.stored for photo in photos]
    if all(name.startswith("images/") for name in stored):  # as in files from Label Studio
        stored = [name.removeprefix("images/") for name in stored]
    splits: dict[str, set[str]] = {}
    for photo, name in zip(photos, stored, strict=True):
        splits.setdefault(fold(posixpath.splitext(name)[0]), set()).add(photo.file.split)
    apart = any(len(several) > 1 for several in splits.values())
    names = Names([])
    result = []
    for photo, name in zip(photos, stored, strict=True):
        wanted = f"{photo.file.split}/{name}" if apart and photo.file.split else name
        stem, suffix = posixpath.splitext(wanted)
        result.append(replace(photo, name=names.take(stem) + suffix))
    taken = {fold(photo.name) for photo in result}
    return [replace(photo, map_name=_map_name(photo.name, taken)) for photo in result]


def _map_name(name: str, taken: Collection[str]) -> str:
    """Return `a.png` for `a.jpg`, but a name with both suffixes if that could be another's map."""
    stem = posixpath.splitext(name)[0]
    return f"{name}.png" if fold(stem) in taken else f"{stem}.png"
