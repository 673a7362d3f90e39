"""The photo files below a folder, in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from base.errors import InputError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# other picture formats that people use, which are not supported
OTHER_SUFFIXES = (".gif", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw")


class Paths(Sequence[Path]):
    """A sequence of paths stored as strings, because a Path takes ten times as much memory."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> Paths: ...

    def __getitem__(self, index: int | slice) -> Path | Paths:
        if isinstance(index, slice):
            return Paths(self.texts[index])
        return Path(self.texts[index])

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self.texts)


def list_photos(folder: Path) -> Paths:
    """List all photos below `folder`, sorted by path.

    Raises InputError if the folder does not exist.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"{folder}: expected a folder of photos, found {found}")
    return list_files(PHOTO_SUFFIXES, folder)


def list_files(suffixes: str | tuple[str, ...], *folders: Path) -> Paths:
    """List all files below the folders that have one of the suffixes, sorted by path.

    The case of the suffix does not matter; hidden files are skipped.
    """
    found = [
        f"{parent}{os.sep}{name}"
        for folder in folders
        for parent, _, names in os.walk(folder)  # several times faster than rglob
        for name in names
        if name.lower().endswith(suffixes) and not name.startswith(".")
    ]
    found.sort(key=lambda name: name.replace(os.sep, "\0"))  # folder by folder, as Path sorts
    return Paths(found)
