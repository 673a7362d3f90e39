"""Digests of the code that stored findings depend on."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import PIL
import shapely

_ANNOTATION = Path(__file__).parents[1]
_RULES = ("findings.py", "dataset.py", "labelme", "photos", "rules", "../base")
_PIXELS = ("photos", "rules/pixels.py")


@cache
def rules_version() -> bytes:
    """Return a digest that changes with the code that the rules about annotations use."""
    return _digest(*_RULES)


@cache
def pixels_version() -> bytes:
    """Return a digest that changes with the code that decodes and compares photos."""
    return _digest(*_PIXELS)


def _digest(*parts: str) -> bytes:
    """Hash library versions and the source files in `parts`, which are relative to annotation/."""
    libraries = (cv2.__version__, np.__version__, PIL.__version__, shapely.__version__)
    total = sha256(repr((*libraries, shapely.geos_version)).encode())
    for part in parts:
        place = _ANNOTATION / part
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            total.update(path.read_bytes())
    return total.digest()
