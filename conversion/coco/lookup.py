"""Finding a file that a data file names, even if its case or Unicode form differs."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from base.files import inside
from base.naming import fold


def find_file(folder: Path, relative: str, *, where: str) -> Path | None:
    """Return the file `relative` below `folder`, or None if there is none.

    The exact spelling takes precedence; otherwise, the only file that differs in case or Unicode
    form is used. Raises InputError if the path leads out of the folder.
    """
    path = inside(folder, relative, where=where)
    if path.is_file():
        return path
    found = folder
    for part in path.relative_to(folder).parts:
        if not (found / part).exists():
            names = _names_in(found).get(fold(part), ())
            if len(names) != 1:
                return None
            part = names[0]
        found = found / part
    return found if found.is_file() else None


def _names_in(folder: Path) -> dict[str, list[str]]:
    try:
        return _listed(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=16)
def _listed(folder: str, mtime: int) -> dict[str, list[str]]:
    """Return the names in a folder by their folded form; a new `mtime` gives a new result."""
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 (names are enough)
        found.setdefault(fold(name), []).append(name)
    return found
