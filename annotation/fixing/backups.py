"""The original files that `validate --fix` keeps until a person confirms or undoes the fixes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path

from annotation.dataset import Dataset
from base.files import replacing, write_bytes
from base.parsing import parse, read_json, write_json
from base.syncing import sync_file

SUFFIX = ".orig"  # after .json, so that a backup is not read as an annotation
PHOTO_SUFFIX = ".photo"  # after .json: a record of the photo that a fix wrote


@dataclass(frozen=True)
class WrittenPhoto:
    """A photo that a fix wrote: its path relative to the folder of its annotation, its SHA-256."""

    photo: str
    sha256: str


@dataclass(frozen=True)
class Undone:
    """Files that were restored, and files that were changed after the fix, relative to the set.

    `photos` had been written by the fix and were deleted.
    """

    restored: tuple[str, ...]
    changed: tuple[str, ...]
    photos: tuple[str, ...]


def replace_with_backup(path: Path, data: bytes, write: Callable[[Path], None]) -> None:
    """Replace `path` with the file that `write` creates, and keep its old `data` beside it.

    A backup that exists already is kept. The backup gets the modification time of the fixed file,
    so that `undo_fixes` can tell whether a person has edited the file since. The backup is on the
    disk before the file is replaced.
    """
    backup = path.with_name(path.name + SUFFIX)
    with replacing(path, durable=True) as temporary:
        write(temporary)
        time = temporary.stat().st_mtime_ns
        if not backup.exists():
            write_bytes(backup, data, durable=True)
        elif not _is_unedited(path, backup) and backup.read_bytes() != data:
            return
        os.utime(backup, ns=(time, time))  # before the fix, in case this process is killed
        sync_file(backup)


def write_photo(annotation: Path, photo: Path, data: bytes) -> None:
    """Write a photo for an annotation, and first a record from which `undo_fixes` knows it."""
    record = WrittenPhoto(os.path.relpath(photo, annotation.parent), sha256(data).hexdigest())
    write_json(annotation.with_name(annotation.name + PHOTO_SUFFIX), record, durable=True)
    write_bytes(photo, data, durable=True)


def confirm_fixes(dataset: Dataset) -> list[str]:
    """Delete the backups of all fixed files; return those files, relative to the set."""
    confirmed = []
    for _, record in _kept(dataset, PHOTO_SUFFIX):
        record.unlink()
    for path, backup in _kept(dataset, SUFFIX):
        if path.exists():  # otherwise the backup is the only copy
            backup.unlink()
            confirmed.append(dataset.relative(path))
    return confirmed


def undo_fixes(dataset: Dataset) -> Undone:
    """Restore the backups, byte for byte, unless the fixed file was changed since.

    Photos that a fix wrote for a restored file are deleted, unless they were changed since.
    """
    restored, changed = [], []
    for path, backup in _kept(dataset, SUFFIX):
        if path.exists() and not _is_unedited(path, backup):
            changed.append(dataset.relative(path))
        else:
            backup.replace(path)
            restored.append(dataset.relative(path))
    photos = []
    for path, record in _kept(dataset, PHOTO_SUFFIX):
        if dataset.relative(path) not in changed:
            photos += _delete_photo(dataset, path, record)
            record.unlink()
    return Undone(tuple(restored), tuple(changed), tuple(photos))


def _delete_photo(dataset: Dataset, annotation: Path, record: Path) -> list[str]:
    """Delete the photo of a record if it is unchanged; return it, relative to the set."""
    written = parse(WrittenPhoto, read_json(record), where=str(record))
    photo = Path(os.path.normpath(annotation.parent / written.photo))
    inside = photo.is_relative_to(os.path.normpath(dataset.root))
    if not inside or not photo.is_file():
        return []
    if sha256(photo.read_bytes()).hexdigest() != written.sha256:
        return []
    photo.unlink()
    return [dataset.relative(photo)]


def _is_unedited(path: Path, backup: Path) -> bool:
    return path.stat().st_mtime_ns == backup.stat().st_mtime_ns


def _kept(dataset: Dataset, suffix: str) -> list[tuple[Path, Path]]:
    """Return the fixed files and the files that are kept beside them under `suffix`, sorted."""
    walks = [os.walk(dataset.labelme), os.walk(dataset.images)]
    if dataset.is_flat:
        walks[1] = islice(walks[1], 1)  # only the folder itself
    return sorted(
        (Path(folder, name.removesuffix(suffix)), Path(folder, name))
        for folder, _, names in chain(*walks)
        for name in names
        if name.endswith(suffix)
        and name.lower().endswith(f".json{suffix}")
        and not name.startswith(".")
    )
