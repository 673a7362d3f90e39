"""Folders in which photos and their annotations lie side by side, as Labelme saves them."""

from __future__ import annotations

import os
from pathlib import Path

from annotation.photos.listing import PHOTO_SUFFIXES, Paths
from base.errors import InputError

_LABELME_KEY = b'"imagePath"'
_MOST_BYTES = 128 << 20  # of a file that may be an annotation; larger ones are not read


def is_flat(root: Path) -> bool:
    """Return whether a folder without `images/` has photos or Labelme files directly in it."""
    if (root / "images").is_dir() or not root.is_dir():
        return False
    return bool(flat_photos(root)) or bool(flat_annotations(root))


def flat_photos(root: Path) -> Paths:
    """List the photos directly in a folder, sorted by name."""
    return files_in(root, PHOTO_SUFFIXES)


def flat_annotations(root: Path) -> Paths:
    """List the Labelme files directly in a folder, sorted by name.

    JSON files of other programs are left out: those that neither have the name of a photo nor name
    one.
    """
    stems = {photo.stem for photo in flat_photos(root)}
    found = files_in(root, (".json",)).texts
    return Paths([one for one in found if Path(one).stem in stems or _names_photo(one)])


def check_not_flat(root: Path) -> None:
    """Raise InputError if a folder is flat, before files are added to its `images/`."""
    if is_flat(root):
        raise InputError(
            f"{root}: its photos and annotations lie in the folder itself; move them to"
            f" {root / 'images'} before you add others"
        )


def files_in(folder: Path, suffixes: tuple[str, ...]) -> Paths:
    """List the files directly in a folder that have one of the suffixes, sorted by name."""
    if not folder.is_dir():
        return Paths([])
    with os.scandir(folder) as entries:
        names = [one.name for one in entries if one.is_file()]
    fitting = (n for n in names if n.lower().endswith(suffixes) and not n.startswith("."))
    return Paths(sorted(f"{folder}{os.sep}{name}" for name in fitting))


def _names_photo(path: str) -> bool:
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            return False
        return _LABELME_KEY in Path(path).read_bytes()
    except OSError:
        return False
