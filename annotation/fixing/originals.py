"""Files as they were before `--fix`: kept beside the fixed ones until a person decides."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from base.files import replacing, write_bytes

SUFFIX = ".orig"  # behind .json, so that nothing takes an original for an annotation


@dataclass(frozen=True)
class Undone:
    """Files, relative to the set, that are as they were, and those changed since the fix."""

    restored: tuple[str, ...]
    changed: tuple[str, ...]


def replace_kept(path: Path, data: bytes, write: Callable[[Path], None]) -> None:
    """Let `write` make a file that takes the place of `path`, whose `data` are kept beside it.

    The oldest original stays. It gets the time of the fixed file, which tells `undo_fixes` whether
    somebody has drawn on since.
    """
    original = path.with_name(path.name + SUFFIX)
    with replacing(path) as temporary:
        write(temporary)
        present = original.exists()
        as_fixed = not present or _unchanged(path, original)
        if not present:
            write_bytes(original, data)
    if as_fixed:
        time = path.stat().st_mtime_ns
        os.utime(original, ns=(time, time))


def confirm_fixes(dataset: Dataset) -> list[str]:
    """Delete the originals of all fixed files; return those files, relative to the set."""
    confirmed = []
    for path, original in _originals(dataset):
        if path.exists():  # else the original is all that there is
            original.unlink()
            confirmed.append(dataset.relative(path))
    return confirmed


def undo_fixes(dataset: Dataset) -> Undone:
    """Put the originals back, byte for byte, but where the fixed file was changed since."""
    restored, changed = [], []
    for path, original in _originals(dataset):
        if path.exists() and not _unchanged(path, original):
            changed.append(dataset.relative(path))
        else:
            original.replace(path)
            restored.append(dataset.relative(path))
    return Undone(tuple(restored), tuple(changed))


def _unchanged(path: Path, original: Path) -> bool:
    return path.stat().st_mtime_ns == original.stat().st_mtime_ns


def _originals(dataset: Dataset) -> list[tuple[Path, Path]]:
    """Fixed files and their originals, sorted."""
    return sorted(
        (Path(folder, name.removesuffix(SUFFIX)), Path(folder, name))
        for root in (dataset.images, dataset.labelme)
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith(SUFFIX)
        and name.lower().endswith(f".json{SUFFIX}")
        and not name.startswith(".")
    )
