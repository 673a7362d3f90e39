"""Names in pictures, in any script for which this machine has a font."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from conversion.coco.categories import Category

_OWN = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # always installed
_SIGNS = "".join(map(chr, range(33, 127))) + "·"  # beside the names in a line
_STROKE = 1  # pixels of the dark border of letters
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class Lettering:
    """A rendered name: how much its pixels are covered by letters, and by letters with border.

    Both are (h, w) float32, 0..1.
    """

    letters: NDArray[np.float32]
    bordered: NDArray[np.float32]

    def write(self, picture: NDArray[np.uint8], *, left: int, top: int) -> None:
        """Write white letters with a black border into a picture (H, W, 3), and clip them there."""
        part = picture[top : top + len(self.letters), left : left + self.letters.shape[1]]
        height, width = part.shape[:2]
        border, letters = (m[:height, :width, None] for m in (self.bordered, self.letters))
        part[:] = (part * (1 - border) + 255 * letters).round().clip(0, 255)


def render(text: str, *, height: int, otherwise: str) -> Lettering:
    """Render `text` in letters of about this height in pixels.

    If no font of this machine has all its characters, `otherwise` is rendered instead.
    """
    path = _font_with(text)
    return _render(otherwise, _OWN, height) if path is None else _render(text, path, height)


def names_for_one_line(categories: Iterable[Category]) -> tuple[Category, ...]:
    """Return categories with names that can be written beside each other.

    A line is written in one font, the one that has the most of these names. Categories whose names
    it lacks get the name `#id`.
    """
    all_of_them = tuple(categories)

    def known(path: Path) -> int:
        return sum(_has(path, category.name) for category in all_of_them)

    fonts = [_OWN]
    if known(_OWN) < len(all_of_them):
        fonts += [path for path in map(Path, sorted(findSystemFonts())) if _has(path, _SIGNS)]
    best = max(fonts, key=known)  # the one of this project, if no other has more
    return tuple(c if _has(best, c.name) else replace(c, name=f"#{c.id}") for c in all_of_them)


def has_font(text: str) -> bool:
    """Return whether this machine has a font with all characters of a text."""
    return _font_with(text) is not None


def names_by_id(categories: Iterable[Category]) -> str:
    """List the names of categories that appear as `#id` in a picture, such as `#7: 車`."""
    return ", ".join(f"#{category.id}: {category.name}" for category in categories)


@cache
def _render(text: str, path: Path, height: int) -> Lettering:
    font = ImageFont.truetype(str(path), height)
    left, top, right, bottom = font.getbbox(text, stroke_width=_STROKE)
    size = (int(right - left) + 2 * _MARGIN, int(bottom - top) + 2 * _MARGIN)
    masks: list[NDArray[np.float32]] = []
    for stroke in (0, _STROKE):
        image = Image.new("L", size)
        place = (_MARGIN - left, _MARGIN - top)
        ImageDraw.Draw(image).text(place, text, 255, font, stroke_width=stroke)
        masks.append(np.asarray(image, np.float32) / np.float32(255))
    return Lettering(letters=masks[0], bordered=masks[1])


@cache
def _font_with(text: str) -> Path | None:
    """Return the first font with all characters of a text, the one of this project first."""
    paths = [_OWN] if _has(_OWN, text) else map(Path, sorted(findSystemFonts()))
    return next((path for path in paths if _has(path, text)), None)


def _has(path: Path, text: str) -> bool:
    """Return whether a font has all characters of a text."""
    return {ord(character) for character in text if not character.isspace()} <= _characters(path)


@cache
def _characters(path: Path) -> frozenset[int]:
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except Exception:  # FreeType's errors have several types
        return frozenset()
