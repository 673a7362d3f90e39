"""The last step of a conversion: put PNGs, links and JSON files into place below `panoptic/`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import replacing
from base.links import link_or_copy
from base.syncing import sync_all, sync_folder
from conversion.building.group_file import group_file_path
from conversion.building.plan import NEW
from conversion.building.prepared import (
    BuildResult,
    Manifest,
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


@dataclass(frozen=True)
class Placed:
    """The result of the earlier build if everything is in place and unchanged, else None.

    `changed` are files that exist, but not as the earlier build wrote them.
    """

    result: BuildResult | None
    changed: tuple[str, ...]


def read_placed(prepared: PreparedSet) -> Placed:
    """Compare what is below `panoptic/` with what the earlier build wrote, and with the inputs."""
    changed = [*_changed_files(prepared), *_changed_photos(prepared)]
    complete = None if changed else _read_complete(prepared)
    if complete is None:
        return Placed(None, tuple(changed))
    return Placed(msgspec.convert({**complete.result, "fresh": False}, BuildResult), ())


def _changed_files(prepared: PreparedSet) -> Iterator[str]:
    store = prepared.contents.store
    for name, digest in store.placed().items():
        with suppress(OSError):  # missing
            if store.digest(prepared.folder / name) != digest:
                yield name


def _changed_photos(prepared: PreparedSet) -> Iterator[str]:
    """Yield links that lead elsewhere, and copies that differ from their photos."""
    digests = dict(prepared.contents.photo_digests())
    for split in prepared.splits():
        for photo in _linked_photos(prepared, split):
            try:
                same = os.readlink(photo.link) == photo.target  # noqa: PTH115
            except FileNotFoundError:
                continue
            except OSError:  # a copy
                same = _has_digest(prepared, photo.link, digests[photo.name])
            if not same:
                yield f"{split}/{photo.name}"


def _has_digest(prepared: PreparedSet, path: Path, digest: bytes) -> bool:
    try:
        return prepared.contents.store.digest(path) == digest
    except OSError:
        return False


def _read_complete(prepared: PreparedSet) -> Manifest | None:
    """Return the manifest if nothing is missing, given that no file was changed."""
    folder, placed = prepared.folder, prepared.contents.store.placed()
    if not placed or not all((folder / name).is_file() for name in placed):
        return None
    splits = sha256()
    for part in split_file(prepared):
        splits.update(part)
    groups = sha256(prepared.groups.encode()).digest()
    if placed.get("split.json") != splits.digest() or placed.get("groups.json") != groups:
        return None
    found = read_manifest(folder / "manifest.json")
    if found.inputs != prepared.inputs():
        return None
    for split in prepared.splits():
        pngs = _files_below(folder / f"panoptic_{split}")
        if _fingerprint(prepared.contents.png_names(split)) != _fingerprint(pngs):
            return None
        photos = _files_below(folder / split)
        if _fingerprint(prepared.contents.photos(split)) != _fingerprint(photos):
            return None
    return found


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
    remove_manifest(folder)
    _move_pngs(prepared)
    earlier = read_split_file(prepared.dataset)
    _remove_leftovers(prepared, () if earlier is None else earlier.rule["shares"])
    # the old one was needed until now, and no one could compute the new one again
    _write(folder / "split.json", split_file(prepared), durable=True)
    _write(group_file_path(folder), [prepared.groups.encode()])
    for split in prepared.splits():
        _link_photos(prepared, split)
    digests = {}
    for split in prepared.splits():
        (folder / f"panoptic_{split}").mkdir(exist_ok=True)  # a split may be empty
        for kind in KINDS:
            path = folder / "annotations" / f"{kind}_{split}.json"
            _write(path, _coco_json(prepared, kind, split))
            digests[f"annotations/{path.name}"] = store.digest(path)
    result = prepared.result()
    sync_all(folder)
    files = {name: digest.hex() for name, digest in digests.items()}
    _write(folder / "manifest.json", manifest(prepared, result, files), durable=True)
    for name in ("split.json", "groups.json", "manifest.json"):
        digests[name] = store.digest(folder / name)
    store.keep_placed(digests)
    return result


def remove_manifest(folder: Path) -> None:
    """Remove the mark of a complete set, before the first file in `panoptic/` changes."""
    manifest = folder / "manifest.json"
    if manifest.exists():
        manifest.unlink()
        sync_folder(folder)


def _write(path: Path, parts: Iterable[bytes], *, durable: bool = False) -> None:
    with replacing(path, durable=durable) as temporary, temporary.open("wb") as file:
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


@dataclass(frozen=True, slots=True)
class LinkedPhoto:
    """A photo below `images/`, its link in a split, and the `target` that the link contains."""

    name: str
    source: Path
    link: Path
    real_folder: Path  # of the link
    target: str


def _linked_photos(prepared: PreparedSet, split: str) -> Iterator[LinkedPhoto]:
    folder = prepared.folder / split
    images, below = prepared.dataset.images.resolve(), folder.resolve()

    @cache  # computing it for every photo takes a third of the time
    def path_from(parent: str) -> str:
        return os.path.relpath(images / parent, below / parent)

    for name in prepared.contents.photos(split):
        parent, _, base = name.rpartition("/")
        link, target = folder / name, os.path.join(path_from(parent), base)  # noqa: PTH118
        yield LinkedPhoto(name, images / name, link, below / parent, target)


def _link_photos(prepared: PreparedSet, split: str) -> None:
    """Fill `panoptic/<split>/` with links to the photos, or with copies if links do not work."""
    folder = prepared.folder / split
    for name in _files_below(folder):
        if not prepared.contents.has_photo(split, name):
            (folder / name).unlink()
    _remove_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for photo in _linked_photos(prepared, split):
        with suppress(OSError):  # missing, or a copy; comparing first takes a third of the time
            if os.readlink(photo.link) == photo.target:  # noqa: PTH115
                continue
        photo.link.unlink(missing_ok=True)
        link_or_copy(photo.source, photo.link, kind="symbolic", real_folder=photo.real_folder)


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
