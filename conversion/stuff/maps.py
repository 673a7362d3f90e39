"""Stuff from PNGs of values or colours: label maps and COCO's stuff pixel maps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.labelme.annotation import Shape
from annotation.photos.files import MAX_BYTES, without_pixel_limit
from base.errors import InputError
from base.files import read_regular
from conversion.coco.png import join_channels, parse_png_header
from conversion.stuff.map_names import MapNames
from conversion.stuff.meanings import UNKNOWN, Map, Meanings, translate

_READING = 2  # increase it if the same files are read differently, so that photos are painted again
_VALUES, _COLORS = ("L", "P", "1", "I;16"), ("RGB", "RGBA", "P")  # Pillow's modes


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """A folder of PNGs; `meanings` explains their values or, if `colored`, their colours.

    `known` describes the expected values in error messages.
    """

    names: MapNames
    meanings: Meanings
    colored: bool
    known: str

    def summary(self) -> object:
        """Return everything that determines what the pixels of a map mean."""
        return "maps", _READING, self.colored, sorted(self.meanings.items())

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """Return the map of the photo `name` if there is one; `read` reports an ambiguous one."""
        try:
            path = self.names.find(name)
        except InputError as error:
            return (str(error),)
        return () if path is None else (path,)

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """Read the map of the photo `name` as `read_file` does; return None if it has no map.

        Raises InputError also if the map is ambiguous.
        """
        path = self.names.find(name)
        return None if path is None else self.read_file(path, height=height, width=width)

    def read_file(self, path: Path, *, height: int, width: int) -> Map:
        """Read (H, W) uint16 meanings from a map.

        Raises InputError if it is damaged, of another size, or has values without a meaning.
        """
        try:
            data = read_regular(path, most_bytes=MAX_BYTES)
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
        if not self.colored:
            return _values(image, data), self.meanings
        if image.mode == "P":
            palette = image.getpalette("RGB") or []
            triples = zip(*[iter(palette)] * 3, strict=False)
            colors = [red << 16 | green << 8 | blue for red, green, blue in triples]
            known = {i: self.meanings[c] for i, c in enumerate(colors) if c in self.meanings}
            return np.asarray(image), known
        bgr = np.asarray(image.convert("RGB"))[..., ::-1]
        return join_channels(np.ascontiguousarray(bgr)), self.meanings


def _values(image: Image.Image, data: bytes) -> NDArray[np.unsignedinteger]:
    """Return the values of a greyscale image as stored, or the indices of a palette image."""
    if image.mode in ("P", "I;16", "1"):
        codes = np.asarray(image)
        return codes.astype(np.uint8) if codes.dtype == bool else codes
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # faster
    if grey is None or grey.shape != image.size[::-1] or grey.dtype != np.uint8:
        grey = np.asarray(image)
    header = parse_png_header(data)
    if header is not None and header.depth < 8:  # decoders scale 2 and 4 bits to 0..255
        grey = grey // (255 // ((1 << header.depth) - 1))
    return np.asarray(grey, np.uint8)
