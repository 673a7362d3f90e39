"""Drawings that cannot be stored because the annotation was changed are kept beside it."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from base.files import write_bytes

SUFFIX = ".drawn"  # after .json, so that it is not read as an annotation


def keep_drawing(annotation: Path, data: bytes) -> Path | None:
    """Write a drawing beside its annotation, under a name that is free; return its path.

    Returns None if the annotation is the same. Raises OSError if it cannot be written.
    """
    if annotation.is_file() and annotation.read_bytes() == data:
        return None
    names = (f"{annotation.name}{SUFFIX}{number or ''}" for number in count())
    path = next(path for path in map(annotation.with_name, names) if _is_free(path, data))
    write_bytes(path, data, durable=True)
    return path


def _is_free(path: Path, data: bytes) -> bool:
    """Return whether nothing else is there; an interrupted recovery may have written the data."""
    return not os.path.lexists(path) or (path.is_file() and path.read_bytes() == data)
