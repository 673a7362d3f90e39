"""Stuff from PNGs of values or colours: label maps and COCO's stuff pixel maps."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.labelme.annotation import Shape
from annotation.photos.files import without_pixel_limit
from base.errors import InputError
from conversion.coco.index import coco_id
from conversion.coco.png import join_channels
from conversion.stuff.meanings import UNKNOWN, Map, Meanings, translate

_VALUES, _COLORS = ("L", "P", "1", "I;16"), ("RGB", "RGBA", "P")  # Pillow's modes


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """A folder of PNGs; `meanings` explains their values or, if `colored`, their colours.

    `known` describes the expected values in error messages. With `by_id`, maps are also found by
    the 12-digit numbers in the names of COCO photos.
    """

    folder: Path
    meanings: Meanings
    colored: bool
    known: str
    by_id: bool = False

    def summary(self) -> object:
        """Return everything that determines what the pixels of a map mean."""
        return "maps", self.colored, sorted(self.meanings.items())

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """Return the map of the photo `name` if there is one."""
        path = self._find(name)
        return () if path is None else (path,)

    def _find(self, name: str) -> Path | None:
        return next((Path(path) for path in self._places(name) if os.path.isfile(path)), None)  # noqa: PTH113 (is called for every photo)

    def _places(self, name: str) -> Iterator[str]:
        """Yield `a/b.jpg.png` for `a/b.jpg`, then `a/b.png`, which the photo `a/b.png` shares."""
        yield f"{self.folder}/{name}.png"
        short = f"{name.rpartition('.')[0]}.png"
        yield f"{self.folder}/{short}"
        if self.by_id:
            yield f"{self.folder}/{short.rpartition('/')[2]}"
            if (number := coco_id(name)) is not None:
                yield f"{self.folder}/{number:012}.png"

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """Read (H, W) uint16 meanings; return None if the photo has no map."""
        path = self._find(name)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            with without_pixel_limit(), Image.open(io.BytesIO(data)) as image:
                self._check(path, image, height=height, width=width)
                codes, meanings = self._decode(image, data)
        except (InputError, MemoryError):
            raise
        except Exception:  # Pillow raises almost any exception for a damaged file
            raise InputError(f"{path}: cannot be read as a PNG") from None
        result = translate(codes, meanings)
        if result.max() == UNKNOWN:
            unknown = np.unique(codes[result == UNKNOWN])[:5].tolist()
            shown = [f"#{code:06x}" for code in unknown] if codes.dtype == np.uint32 else unknown
            raise InputError(f"{path}: expected {self.known}, found {shown}")
        return result

    def _check(self, path: Path, image: Image.Image, *, height: int, width: int) -> None:
        modes = _COLORS if self.colored else _VALUES
        if image.size != (width, height) or image.mode not in modes:
            kind = "an RGB or palette PNG" if self.colored else "one channel"
            found = f"{image.size[0]}x{image.size[1]} in mode {image.mode}"
            size = f"{width}x{height} pixels, the size of the photo"
            raise InputError(f"{path}: expected {kind} of {size}, found {found}")

    def _decode(
        self, image: Image.Image, data: bytes
    ) -> tuple[NDArray[np.unsignedinteger], Meanings]:
        """Return pixels and their meanings; in palette images, only the palette is translated."""
        if image.mode == "L" and not self.colored:
            grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # faster
            if grey is not None and grey.shape == image.size[::-1] and grey.dtype == np.uint8:
                return grey, self.meanings
        if not self.colored:
            codes = np.asarray(image)  # for palette images, the indices
            return (codes.astype(np.uint8) if codes.dtype == bool else codes), self.meanings
        if image.mode == "P":
            palette = image.getpalette("RGB") or []
            triples = zip(*[iter(palette)] * 3, strict=False)
            colors = [red << 16 | green << 8 | blue for red, green, blue in triples]
            known = {i: self.meanings[c] for i, c in enumerate(colors) if c in self.meanings}
            return np.asarray(image), known
        return join_channels(np.asarray(image)), self.meanings
