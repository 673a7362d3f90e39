"""Finding COCO files and their photos in the places where annotation tools put them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from base.errors import InputError
from base.files import inside
from conversion.coco.file import MEMBERS, CocoFile, CocoImage, read_coco
from conversion.coco.problems import Problems

_PREFIX = re.compile(r"(?:instances|panoptic|person_keypoints|stuff)_(\w.*)")
_SPLIT = re.compile(r"(train|val|valid|validation|test)\d*", re.IGNORECASE)


def read_source(source: Path, problems: Problems, *, without: Path) -> list[CocoFile]:
    """Read a COCO file, or all COCO files in a folder except those in the folder `without`.

    Raises InputError if there is none, or if a file is not valid JSON.
    """
    if not source.exists():
        raise InputError(f"{source}: missing; expected a COCO file or a folder with one")
    paths = list(_json_files(source, without)) if source.is_dir() else [source]
    files = [
        file for path in paths if (file := read_coco(path, _split_name(source, path), problems))
    ]
    if not files:
        found = f"{len(paths)} other JSON files" if source.is_dir() else "other JSON"
        raise InputError(
            f"{source}: expected a COCO file: JSON with {', '.join(MEMBERS)}; found {found}"
        )
    return files


def _json_files(source: Path, without: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(source):
        hidden = [name for name in folders if name.startswith((".", "__MACOSX"))]
        skipped = [name for name in folders if Path(folder, name).resolve() == without.resolve()]
        folders[:] = sorted(set(folders) - {*hidden, *skipped})
        for name in sorted(names):
            if name.lower().endswith(".json") and not name.startswith("."):
                yield Path(folder, name)


def _split_name(source: Path, path: Path) -> str:
    """Return `train` for instances_train.json and for train/_annotations.coco.json."""
    if match := _PREFIX.fullmatch(path.stem):
        return match[1]
    folder = path.parent.name
    below = source in path.parent.parents and folder != "annotations"
    return folder if below or _SPLIT.fullmatch(folder) else ""


def photo_folders(file: CocoFile, images: Path | None) -> list[Path]:
    """Return the folders in which a file's photos may be, the most specific one first.

    These are the folder of the file (Roboflow) and `images/` in it (Label Studio). If the file is
    in `annotations/`, they include the folders beside it named after the split (COCO) and `images/`
    (CVAT). If `images` is given, only this folder is used.
    """
    beside = file.path.absolute().parent
    bases = [beside, beside.parent] if beside.name == "annotations" else [beside]
    usual = [*bases, *(base / "images" for base in bases)]
    folders = usual if images is None else [images]
    parts = [folder / file.split for folder in folders] if file.split else []
    return [folder for folder in dict.fromkeys([*parts, *folders]) if folder.is_dir()]


def find_photo(file: CocoFile, image: CocoImage, folders: Sequence[Path]) -> Path:
    """Return the photo of an image.

    Raises InputError if it is in none of the folders, or if its name points outside them.
    """
    for folder in folders:
        path = inside(folder, image.file_name, where="file_name")
        if path.is_file():
            return path
    looked = ", ".join(map(str, folders)) or "no folder, because none of the usual ones exists"
    raise InputError(f"photo '{image.file_name}' is missing; looked in {looked}")
