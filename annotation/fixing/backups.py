"""The original files that `validate --fix` keeps until a person confirms or undoes the fixes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import escape
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path

from annotation.dataset import Dataset
from base.files import replacing, write_bytes
from base.parsing import parse, read_json, write_json
from base.syncing import sync_file

SUFFIX = ".orig"  # after .json, so that a backup is not read as an annotation
_BACKUP = re.compile(r"(?P<file>[^.].*\.(?i:json))(\.(?P<number>[0-9]+))?\.orig", re.DOTALL)
PHOTO_SUFFIX = ".photo"  # after .json: a record of the photo that a fix wrote


@dataclass(frozen=True)
class WrittenPhoto:
    """A photo that a fix wrote: its path relative to the folder of its annotation, its SHA-256."""

    photo: str
    sha256: str


@dataclass(frozen=True)
class Kept:
    """A file that was changed after a fix, and its backup from before; both relative to the set."""

    file: str
    backup: str


@dataclass(frozen=True)
class Undone:
    """Files that were restored, and originals of files that were changed after the fix.

    `photos` had been written by the fix and were deleted. All are relative to the set.
    """

    restored: tuple[str, ...]
    changed: tuple[Kept, ...]
    photos: tuple[str, ...]


def replace_with_backup(path: Path, data: bytes, write: Callable[[Path], None]) -> None:
    """Replace `path` with the file that `write` creates, and keep its old `data` beside it.

    A backup that exists already is kept. If a person has edited the file since, its `data` are kept
    in one more backup, a.json.2.orig beside a.json.orig. The newest backup gets the modification
    time of the fixed file, so that `undo_fixes` can tell whether a person has edited the file
    since. The backup is on the disk before the file is replaced.
    """
    backups = _backups_of(path)
    backup = backups[-1] if backups else path.with_name(path.name + SUFFIX)
    with replacing(path, durable=True) as temporary:
        write(temporary)
        time = temporary.stat().st_mtime_ns
        if backups and not _is_unedited(path, backup) and backup.read_bytes() != data:
            backup = path.with_name(f"{path.name}.{1 + _number(backup)}{SUFFIX}")
        if not backup.exists():
            write_bytes(backup, data, durable=True)
        os.utime(backup, ns=(time, time))  # before the fix, in case this process is killed
        sync_file(backup)


def _backups_of(path: Path) -> list[Path]:
    """Return the backups of a file, the oldest first."""
    found = path.parent.glob(f"{escape(path.name)}*{SUFFIX}")
    return sorted((one for one in found if _backed_up(one.name) == path.name), key=_number)


def _backed_up(name: str) -> str | None:
    """Return the name of the file of which `name` is a backup, or None if it is no backup."""
    match = _BACKUP.fullmatch(name)
    return match["file"] if match else None


def _number(backup: Path) -> int:
    match = _BACKUP.fullmatch(backup.name)
    return int(match["number"] or 1) if match else 1


def write_photo(annotation: Path, photo: Path, data: bytes) -> None:
    """Write a photo for an annotation, and first a record from which `undo_fixes` knows it."""
    record = WrittenPhoto(os.path.relpath(photo, annotation.parent), sha256(data).hexdigest())
    write_json(annotation.with_name(annotation.name + PHOTO_SUFFIX), record, durable=True)
    write_bytes(photo, data, durable=True)


def confirm_fixes(dataset: Dataset) -> list[str]:
    """Delete the backups of all fixed files; return those files, relative to the set."""
    confirmed = []
    for _, record in _kept_photos(dataset):
        record.unlink()
    for path in _fixed_files(dataset):
        if path.exists():  # otherwise the backup is the only copy
            for backup in _backups_of(path):
                backup.unlink()
            confirmed.append(dataset.relative(path))
    return confirmed


def undo_fixes(dataset: Dataset) -> Undone:
    """Restore the newest backups, byte for byte, unless the fixed file was changed since.

    Older ones, of fixes after which a person edited the file, are kept, and the file is listed as
    changed too. Photos that a fix wrote for a restored file are deleted, unless the photo or the
    file was changed since.
    """
    restored, changed = [], []
    for path in _fixed_files(dataset):
        *older, backup = _backups_of(path)
        if path.exists() and not _is_unedited(path, backup):
            older.append(backup)
        else:
            backup.replace(path)
            restored.append(dataset.relative(path))
        changed += [Kept(dataset.relative(path), dataset.relative(one)) for one in older]
    photos = []
    edited = {one.file for one in changed}
    for path, record in _kept_photos(dataset):
        if dataset.relative(path) not in edited:
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


def _fixed_files(dataset: Dataset) -> list[Path]:
    """Return the files that have backups, sorted."""
    found = ((path, _backed_up(path.name)) for path in _files(dataset))
    return sorted({path.with_name(name) for path, name in found if name})


def _kept_photos(dataset: Dataset) -> list[tuple[Path, Path]]:
    """Return the annotations for which a fix wrote a photo, and the record of it, sorted."""
    return sorted(
        (path.with_name(path.name.removesuffix(PHOTO_SUFFIX)), path)
        for path in _files(dataset)
        if path.name.lower().endswith(f".json{PHOTO_SUFFIX}")
        and path.name.endswith(PHOTO_SUFFIX)
        and not path.name.startswith(".")
    )


def _files(dataset: Dataset) -> Iterator[Path]:
    walks = [os.walk(dataset.labelme), os.walk(dataset.images)]
    if dataset.is_flat:
        walks[1] = islice(walks[1], 1)  # only the folder itself
    for folder, _, names in chain(*walks):
        yield from (Path(folder, name) for name in names)
