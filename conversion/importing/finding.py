"""Finding the photo that an image of a COCO file names, in the ways in which programs name it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from annotation.labelme.photo_index import longest_common_end
from annotation.photos.listing import PHOTO_SUFFIXES
from base.errors import InputError
from base.files import inside
from base.naming import fold
from conversion.coco.file import CocoFile, CocoImage

_USUAL = ("images", "data")  # Label Studio and CVAT; FiftyOne


@dataclass(frozen=True)
class FoundPhoto:
    """A photo and its path below the folder where it was looked for, with slashes.

    `by_name` is True if it is not at the path that the file states, even apart from case and
    Unicode form.
    """

    path: Path
    stored: str
    by_name: bool = False


class PhotoFinder:
    """Finds the photos of one COCO file, always below the folders that belong to it.

    These are the folder of the file (Roboflow), and `images/` and `data/` in it (Label Studio,
    FiftyOne). If the file is in `annotations/`, they include the folders beside it named after the
    split (COCO) and `images/` (CVAT). If `images` is given, only this folder is used. Nothing in
    the folder `without`, the new data set, is a photo of the source.
    """

    def __init__(self, file: CocoFile, images: Path | None, without: Path) -> None:
        self.folders = _photo_folders(file, images)
        self._without = without.resolve()

    def find(self, image: CocoImage) -> FoundPhoto:
        """Return the photo of an image.

        The path may be a URL, absolute, or that of another machine; then the photo with this name
        is used that shares the most folders with it. Raises InputError if there is none, or if
        several share the same number of folders.
        """
        name = image.file_name
        if "\0" in name:
            raise InputError(f"file_name: expected a path, found {name!r}")
        written = list(dict.fromkeys(_written_paths(name)))
        for one in written:
            for folder in self.folders:
                if (path := _below(folder, one)) is not None and path.is_file():
                    return FoundPhoto(path, path.relative_to(folder).as_posix())
        for one in written:
            namesakes = self._by_name.get(fold(one.rpartition("/")[2]), [])
            if best := longest_common_end(namesakes, one):
                return self._named(best, one)
            if namesakes:
                shown = ", ".join(map(str, namesakes[:3]))
                raise InputError(
                    f"photo '{name}' could be any of {len(namesakes)} files: {shown}; choose a"
                    " folder with --images"
                )
        looked = ", ".join(map(str, self.folders))
        looked = looked or "no folder, because none of the usual ones exists"
        raise InputError(f"photo '{name}' is missing; looked in {looked}")

    def _named(self, path: Path, written: str) -> FoundPhoto:
        folders = [folder for folder in self.folders if path.is_relative_to(folder)]
        stored = path.relative_to(max(folders, key=lambda folder: len(folder.parts))).as_posix()
        wanted = [fold(part) for part in written.split("/") if part not in ("", ".")]
        found = [fold(part) for part in path.parts]
        return FoundPhoto(path, stored, found[-len(wanted) :] != wanted)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Photos anywhere below the folders, by their folded names."""
        found: dict[str, list[Path]] = {}
        for root in _without_nested(self.folders):
            for place, folders, names in os.walk(root):
                folders[:] = sorted(f for f in folders if self._may_hold_photos(Path(place, f)))
                for name in sorted(names):
                    if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith("."):
                        found.setdefault(fold(name), []).append(Path(place, name))
        return found

    def _may_hold_photos(self, folder: Path) -> bool:
        """Return False for hidden folders, folders of panoptic PNGs, and the new data set."""
        hidden = folder.name.startswith((".", "panoptic_", "__MACOSX"))
        return not hidden and folder.resolve() != self._without


def _photo_folders(file: CocoFile, images: Path | None) -> list[Path]:
    """Return the folders in which a file's photos may be, the most specific one first."""
    beside = file.path.absolute().parent
    bases = [beside, beside.parent] if beside.name == "annotations" else [beside]
    usual = [*bases, *(base / name for base in bases for name in _USUAL)]
    folders = usual if images is None else [images]
    parts = [folder / file.split for folder in folders] if file.split else []
    return [folder for folder in dict.fromkeys([*parts, *folders]) if folder.is_dir()]


def _written_paths(name: str) -> Iterator[str]:
    """Yield the paths that a file_name may mean, with slashes: as written, in a URL, unquoted."""
    slashed = name.replace("\\", "/")
    yield slashed
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", slashed) or "?" in slashed:
        try:
            url = urlsplit(slashed)
        except ValueError:  # such as for http://[
            return
        for value in parse_qs(url.query).get("d", ()):  # Label Studio: /data/local-files/?d=PATH
            yield value.replace("\\", "/")
        yield unquote(url.path).lstrip("/")
    yield unquote(slashed)


def _below(folder: Path, name: str) -> Path | None:
    """Return the path `name` below `folder`; None if it leads out of the folder."""
    try:
        return inside(folder, name, where="file_name")
    except InputError:
        return None


def _without_nested(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that are not inside another one."""
    return [
        folder
        for folder in folders
        if not any(other != folder and folder.is_relative_to(other) for other in folders)
    ]
