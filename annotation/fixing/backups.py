"""The original files that `validate --fix` keeps until a person confirms or undoes the fixes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from annotation.dataset import Dataset
from base.files import replacing, write_bytes

SUFFIX = ".orig"  # after .json, so that a backup is not read as an annotation


@dataclass(frozen=True)
class Undone:
    """Files that were restored, and files that were changed after the fix, relative to the set."""

    restored: tuple[str, ...]
    changed: tuple[str, ...]


def replace_with_backup(path: Path, data: bytes, write: Callable[[Path], None]) -> None:
    """Replace `path` with the file that `write` creates, and keep its old `data` beside it.

    A backup that exists already is kept. The backup gets the modification time of the fixed file,
    so that `undo_fixes` can tell whether a person has edited the file since.
    """
    backup = path.with_name(path.name + SUFFIX)
    with replacing(path) as temporary:
        write(temporary)
        exists = backup.exists()
        unedited = not exists or _is_unedited(path, backup)
        if not exists:
            write_bytes(backup, data)
    if unedited:
        time = path.stat().st_mtime_ns
        os.utime(backup, ns=(time, time))


def confirm_fixes(dataset: Dataset) -> list[str]:
    """Delete the backups of all fixed files; return those files, relative to the set."""
    confirmed = []
    for path, backup in _backups(dataset):
        if path.exists():  # otherwise the backup is the only copy
            backup.unlink()
            confirmed.append(dataset.relative(path))
    return confirmed


def undo_fixes(dataset: Dataset) -> Undone:
    """Restore the backups, byte for byte, unless the fixed file was changed since."""
    restored, changed = [], []
    for path, backup in _backups(dataset):
        if path.exists() and not _is_unedited(path, backup):
            changed.append(dataset.relative(path))
        else:
            backup.replace(path)
            restored.append(dataset.relative(path))
    return Undone(tuple(restored), tuple(changed))


def _is_unedited(path: Path, backup: Path) -> bool:
    return path.stat().st_mtime_ns == backup.stat().st_mtime_ns


def _backups(dataset: Dataset) -> list[tuple[Path, Path]]:
    """Return the fixed files and their backups, sorted."""
    walks = [os.walk(dataset.labelme), os.walk(dataset.images)]
    if dataset.is_flat:
        walks[1] = islice(walks[1], 1)  # only the folder itself
    return sorted(
        (Path(folder, name.removesuffix(SUFFIX)), Path(folder, name))
        for folder, _, names in chain(*walks)
        for name in names
        if name.endswith(SUFFIX)
        and name.lower().endswith(f".json{SUFFIX}")
        and not name.startswith(".")
    )
