"""The last step of a conversion: put PNGs, links and JSON files into place below `panoptic/`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import replacing
from base.links import link_or_copy
from conversion.building.group_file import group_file_path
from conversion.building.plan import NEW
from conversion.building.prepared import (
    BuildResult,
    PreparedSet,
    manifest,
    read_manifest,
    split_file,
)
from conversion.building.split import read_split_file
from conversion.coco.file import CROWDS_ARE_CROWDS, CROWDS_KEY
from conversion.coco.writing import coco_file

KINDS: tuple[Literal["panoptic", "instances"], ...] = ("panoptic", "instances")


def check_place(dataset: Dataset) -> None:
    """Raise InputError if `panoptic/` contains a link.

    Files are removed there, and a link could lead to files that do not belong to the set.
    """
    for path in dataset.panoptic.iterdir() if dataset.panoptic.is_dir() else ():
        if path.is_symlink():
            raise InputError(f"{path}: expected files that `convert` has created, found a link")


# --- a set that is already in place ---


def read_placed(prepared: PreparedSet) -> BuildResult | None:
    """Return the result of the earlier build if everything is already in place, else None."""
    folder, contents = prepared.folder, prepared.contents
    try:
        splits = sha256()
        for part in split_file(prepared):
            splits.update(part)
        if contents.store.digest(folder / "split.json") != splits.digest():
            return None
        if group_file_path(folder).read_bytes() != prepared.groups.encode():
            return None
        known = read_manifest(folder / "manifest.json")
        if known.inputs != prepared.inputs():
            return None
        for name, digest in known.files.items():
            if contents.store.digest(folder / name).hex() != digest:
                return None
    except (OSError, msgspec.DecodeError):
        return None
    for split in prepared.splits():
        pngs = _files_below(folder / f"panoptic_{split}")
        if _fingerprint(contents.png_names(split)) != _fingerprint(pngs):
            return None
        if _fingerprint(contents.photos(split)) != _fingerprint(_files_below(folder / split)):
            return None
    return msgspec.convert({**known.result, "fresh": False}, BuildResult)


def _fingerprint(names: Iterable[str]) -> tuple[int, int]:
    """Return numbers that are the same for the same set of names, without keeping the names."""
    count = total = 0
    for name in names:
        count += 1
        total += hash(name)
    return count, total


def _files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of all files and links below a folder, with slashes."""
    root = str(folder)
    for place, _, names in os.walk(root):
        below = place[len(root) + 1 :].replace(os.sep, "/")
        yield from (f"{below}/{name}" if below else name for name in names)


# --- placing ---


def place(prepared: PreparedSet) -> BuildResult:
    """Put everything into place; the manifest, which marks a complete set, is written last."""
    folder, store = prepared.folder, prepared.contents.store
    (folder / "manifest.json").unlink(missing_ok=True)
    _move_pngs(prepared)
    earlier = read_split_file(prepared.dataset)
    _remove_leftovers(prepared, () if earlier is None else earlier.rule["shares"])
    _write(folder / "split.json", split_file(prepared))  # the old one was needed until now
    _write(group_file_path(folder), [prepared.groups.encode()])
    for split in prepared.splits():
        _link_photos(prepared, split)
    files = {}
    for split in prepared.splits():
        (folder / f"panoptic_{split}").mkdir(exist_ok=True)  # a split may be empty
        for kind in KINDS:
            path = folder / "annotations" / f"{kind}_{split}.json"
            _write(path, _coco_json(prepared, kind, split))
            files[f"annotations/{path.name}"] = store.digest(path).hex()
    result = prepared.result()
    _write(folder / "manifest.json", manifest(prepared, result, files))
    return result


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def _move_pngs(prepared: PreparedSet) -> None:
    for png, final in prepared.contents.moves():
        path = prepared.folder / final
        path.parent.mkdir(parents=True, exist_ok=True)
        (prepared.folder / png).replace(path)
    prepared.contents.mark_moved()


def _remove_leftovers(prepared: PreparedSet, earlier_splits: Iterable[str]) -> None:
    """Remove what earlier builds left: incomplete files, other splits and PNGs not in the set."""
    root = prepared.folder
    shutil.rmtree(root / NEW, ignore_errors=True)
    for folder in (root, root / "annotations"):
        for incomplete in folder.glob(".*.json"):  # left if the process was killed while writing
            incomplete.unlink()
    for split in set(earlier_splits) - set(prepared.splits()):
        for folder in (root / f"panoptic_{split}", root / split):
            shutil.rmtree(folder, ignore_errors=True)  # PNGs, links and copies
        for kind in KINDS:
            (root / "annotations" / f"{kind}_{split}.json").unlink(missing_ok=True)
    for split in prepared.splits():
        folder = root / f"panoptic_{split}"
        for name in _files_below(folder):
            if not prepared.contents.has_png(split, name):
                (folder / name).unlink()
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Remove all empty folders below a folder, and the folder if it is empty."""
    for place, _, _ in sorted(os.walk(folder), reverse=True):
        with suppress(OSError):  # not empty
            Path(place).rmdir()


def _link_photos(prepared: PreparedSet, split: str) -> None:
    """Fill `panoptic/<split>/` with links to the photos, or with copies if links do not work."""
    folder = prepared.folder / split
    for name in _files_below(folder):
        if not prepared.contents.has_photo(split, name):
            (folder / name).unlink()
    _remove_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, below = prepared.dataset.images.resolve(), folder.resolve()
    for name in prepared.contents.photos(split):
        link, source, real_folder = folder / name, images / name, (below / name).parent
        with suppress(OSError):  # missing, or a copy; comparing first takes a third of the time
            if os.readlink(link) == os.path.relpath(source, real_folder):  # noqa: PTH115
                continue
        link.unlink(missing_ok=True)
        link_or_copy(source, link, kind="symbolic", real_folder=real_folder)


def _coco_json(
    prepared: PreparedSet, kind: Literal["panoptic", "instances"], split: str
) -> Iterator[bytes]:
    """Yield one JSON file of a split."""
    categories, contents = prepared.categories, prepared.contents
    info: dict[str, Any] = {
        "description": prepared.dataset.config.name,
        CROWDS_KEY: CROWDS_ARE_CROWDS,
    }
    if kind == "instances":
        categories = tuple(c for c in categories if c.isthing)
        info["masks"] = prepared.config.instances
    images, annotations = contents.pieces("image", split), contents.pieces(kind, split)
    return coco_file(info, images, annotations, categories)
