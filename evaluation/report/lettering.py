"""Names in pictures, in any script for which this machine has a font."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_OWN = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # always installed
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
    wanted = {ord(character) for character in text if not character.isspace()}
    paths = [_OWN] if wanted <= _characters(_OWN) else map(Path, sorted(findSystemFonts()))
    return next((path for path in paths if wanted <= _characters(path)), None)


@cache
def _characters(path: Path) -> frozenset[int]:
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except Exception:  # FreeType's errors have several types
        return frozenset()
