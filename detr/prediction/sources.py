"""The photos that a prediction is asked for: photos, folders and patterns. Does not load torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.photos.listing import PHOTO_SUFFIXES, list_photos
from base.errors import InputError

MOST_PICTURES = 1000  # photos of which pictures are drawn by default


@dataclass(frozen=True)
class PhotoList:
    """Photos to predict: their paths `names` relative to the folder `root`, sorted.

    `folders` were searched for photos; predictions cannot be written into them.
    """

    root: Path
    names: tuple[str, ...]
    folders: tuple[Path, ...] = ()


def find_photos(*sources: Path) -> PhotoList:
    """List the photos in folders and their subfolders, single photos, and those of patterns.

    A pattern is a path with `*`, `?` or `[...]`, or `**` for all subfolders, that does not exist
    itself. The names are relative to the folder that contains all sources. Raises InputError if a
    source does not exist, is not a photo, is a built panoptic set, or if there are no photos.
    """
    found, folders = [], []
    for source in sources:
        if source.is_dir():
            _check_not_built(source)
            folders.append(source)
            found += list(list_photos(source))
        else:
            found += _photo_files(source)
    if not found:
        raise InputError(f"{', '.join(map(str, sources))}: no photos found")
    root = _common_folder([*folders, *(p.parent for p in found if not _is_below(p, folders))])
    names = {_relative(photo, root) for photo in found}
    return PhotoList(root, tuple(sorted(names, key=lambda name: name.split("/"))), tuple(folders))


def _photo_files(source: Path) -> list[Path]:
    """Return the photo `source`, or the photos that match it as a pattern."""
    if source.exists():
        if source.suffix.lower() not in PHOTO_SUFFIXES:
            expected = ", ".join(PHOTO_SUFFIXES)
            raise InputError(f"{source}: expected a photo ({expected}), found another file")
        return [source]
    if not glob.has_magic(str(source)):
        raise InputError(f"{source}: expected a photo or a folder of photos, found nothing")
    matches = map(Path, glob.glob(str(source), recursive=True))  # noqa: PTH207 (absolute patterns)
    photos = [p for p in matches if p.is_file() and p.suffix.lower() in PHOTO_SUFFIXES]
    if not photos:
        raise InputError(f"{source}: no photo matches this pattern")
    return photos


def _check_not_built(folder: Path) -> None:
    """Raise InputError for `panoptic/` of a data set, whose maps of segment ids are PNGs too."""
    if (folder / "manifest.json").is_file() and (folder / "annotations").is_dir():
        raise InputError(
            f"{folder}: contains maps of segments besides photos; give the folder of a split, such"
            f" as {folder / 'test'}"
        )


def _is_below(photo: Path, folders: Sequence[Path]) -> bool:
    return any(photo.is_relative_to(folder) for folder in folders)


def _common_folder(folders: Sequence[Path]) -> Path:
    """Return the folder that contains all others; unchanged if there is only one."""
    different = set(folders)
    if len(different) == 1:
        return different.pop()
    return Path(os.path.commonpath([_absolute(folder) for folder in different]))


def _relative(photo: Path, root: Path) -> str:
    return _absolute(photo).relative_to(_absolute(root)).as_posix()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve follows links)
