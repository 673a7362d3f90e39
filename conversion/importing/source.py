"""Finding COCO files in the places where annotation tools put them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base.counting import counted
from base.errors import InputError
from base.files import open_regular
from conversion.coco.file import MEMBERS, CocoFile, read_coco
from conversion.coco.problems import Problems

_START = 1 << 20  # bytes of a damaged file that are searched for the names of COCO
_PREFIX = re.compile(r"(?:instances|panoptic|person_keypoints|stuff)_(\w.*)")
_SPLIT = re.compile(r"(train|val|valid|validation|test)\d*", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """The COCO files of a source; `notes` are lines about other JSON files that cannot be read."""

    files: tuple[CocoFile, ...]
    notes: tuple[str, ...] = ()


def read_source(source: Path, problems: Problems, *, without: Path) -> Source:
    """Read a COCO file, or all COCO files in a folder except those in the folder `without`.

    A file in the folder that is not valid JSON is left out, unless it is a damaged COCO file.
    Raises InputError if there is no COCO file, or if `source` is not valid JSON.
    """
    if not source.exists():
        raise InputError(f"{source}: missing; expected a COCO file or a folder with one")
    paths = list(_json_files(source, without)) if source.is_dir() else [source]
    files: list[CocoFile] = []
    notes: list[str] = []
    for path in paths:
        try:
            file = read_coco(path, _split_name(source, path), problems)
        except InputError as error:
            if path == source or _mentions_coco(path):
                raise
            notes.append(f"left out: {error}")
        else:
            files += [file] if file else []
    if not files:
        found = counted(len(paths), "other JSON file") if source.is_dir() else "other JSON"
        reasons = "".join(f"\n{note}" for note in notes[:3])
        raise InputError(
            f"{source}: expected a COCO file: JSON with {', '.join(MEMBERS)}; found {found}"
            f"{reasons}"
        )
    return Source(tuple(files), tuple(notes))


def _mentions_coco(path: Path) -> bool:
    """Return whether a file that cannot be read looks like a damaged COCO file."""
    try:
        with open_regular(path) as file:
            start = file.read(_START).replace(b"\0", b"")  # zeros as in UTF-16
    except OSError:
        return False
    return start.lstrip(b"\xef\xbb\xbf\xfe\xff \r\n\t").startswith(b"{") and any(
        f'"{name}"'.encode() in start for name in ("images", "annotations")
    )


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
