"""COCO files and their photos, where annotation tools put them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from base.errors import InputError
from base.files import inside
from conversion.coco.file import MEMBERS, CocoFile, CocoImage, Problems, read_coco

_PREFIX = re.compile(r"(?:instances|panoptic|person_keypoints|stuff)_(\w.*)")
_SPLIT = re.compile(r"(train|val|valid|validation|test)\d*", re.IGNORECASE)


def read_source(source: Path, problems: Problems, *, without: Path) -> list[CocoFile]:
    """Read a COCO file, or all of them in a folder but in its part `without`.

    InputError where there is none, or where a file is no JSON.
    """
    if not source.exists():
        raise InputError(f"{source}: missing; expected a COCO file or a folder with one")
    paths = list(_json_files(source, without)) if source.is_dir() else [source]
    files = [
        file for path in paths if (file := read_coco(path, _split_name(source, path), problems))
    ]
    if not files:
        found = f"{len(paths)} other JSON files" if source.is_dir() else "none"
        raise InputError(
            f"{source}: expected a COCO file: JSON with {', '.join(MEMBERS)}; got {found}"
        )
    return files


def _json_files(source: Path, without: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(source):
        hidden = [name for name in folders if name.startswith((".", "__MACOSX"))]
        aside = [name for name in folders if Path(folder, name).resolve() == without.resolve()]
        folders[:] = sorted(set(folders) - {*hidden, *aside})
        for name in sorted(names):
            if name.lower().endswith(".json") and not name.startswith("."):
                yield Path(folder, name)


def _split_name(source: Path, path: Path) -> str:
    """`train` of instances_train.json and of train/_annotations.coco.json."""
    if match := _PREFIX.fullmatch(path.stem):
        return match[1]
    folder = path.parent.name
    below = source in path.parent.parents and folder != "annotations"
    return folder if below or _SPLIT.fullmatch(folder) else ""


def photo_folders(file: CocoFile, images: Path | None) -> list[Path]:
    """Where a file's photos may lie, the most particular folder first.

    Beside it (Roboflow), in `images/` (Label Studio); where the file lies in `annotations/`, also
    in a folder beside that, called like the split (COCO) or `images/` (CVAT). Only `images` counts
    where it is given.
    """
    beside = file.path.absolute().parent
    bases = [beside, beside.parent] if beside.name == "annotations" else [beside]
    usual = [*bases, *(base / "images" for base in bases)]
    rooms = usual if images is None else [images]
    parts = [room / file.split for room in rooms] if file.split else []
    return [folder for folder in dict.fromkeys([*parts, *rooms]) if folder.is_dir()]


def find_photo(file: CocoFile, image: CocoImage, folders: Sequence[Path]) -> Path:
    """The photo of an image; InputError where its name leaves the folders, or it is in none."""
    for folder in folders:
        path = inside(folder, image.file_name, where="file_name")
        if path.is_file():
            return path
    looked = ", ".join(map(str, folders)) or "no folder: none of the usual ones is there"
    raise InputError(f"photo '{image.file_name}' is missing; looked in {looked}")
