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
from conversion.coco.png import join_channels
from conversion.stuff.index import coco_id
from conversion.stuff.meanings import UNKNOWN, Map, Meanings, translate

_VALUES, _COLORS = ("L", "P", "1", "I;16"), ("RGB", "RGBA", "P")  # Pillow's modes


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """A folder of PNGs; `meanings` explains their values, or their colours where `colored`.

    `known` says in errors what a value must be; `by_id` lets COCO's 12-digit names be found, too.
    """

    folder: Path
    meanings: Meanings
    colored: bool
    known: str
    by_id: bool = False

    def summary(self) -> object:
        """All that decides what the pixels of a map mean."""
        return "maps", self.colored, sorted(self.meanings.items())

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """The map of the photo `name`, where there is one."""
        path = self._find(name)
        return () if path is None else (path,)

    def _find(self, name: str) -> Path | None:
        return next((Path(path) for path in self._places(name) if os.path.isfile(path)), None)  # noqa: PTH113 (is called for every photo)

    def _places(self, name: str) -> Iterator[str]:
        """`a/b.jpg` has `a/b.jpg.png`, or `a/b.png`, which a photo `a/b.png` would share."""
        yield f"{self.folder}/{name}.png"
        short = f"{name.rpartition('.')[0]}.png"
        yield f"{self.folder}/{short}"
        if self.by_id:
            yield f"{self.folder}/{short.rpartition('/')[2]}"
            if (number := coco_id(name)) is not None:
                yield f"{self.folder}/{number:012}.png"

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """(H, W) uint16 meanings; None where the photo has no map."""
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
        except Exception:  # broken files make Pillow raise nearly anything
            raise InputError(f"{path}: cannot be read as a PNG") from None
        result = translate(codes, meanings)
        if result.max() == UNKNOWN:
            strange = np.unique(codes[result == UNKNOWN])[:5].tolist()
            shown = [f"#{code:06x}" for code in strange] if codes.dtype == np.uint32 else strange
            raise InputError(f"{path}: values must be {self.known}, got {shown}")
        return result

    def _check(self, path: Path, image: Image.Image, *, height: int, width: int) -> None:
        modes = _COLORS if self.colored else _VALUES
        if image.size != (width, height) or image.mode not in modes:
            kind = "an RGB or palette PNG" if self.colored else "one channel"
            got = f"{image.size[0]}x{image.size[1]} in mode {image.mode}"
            raise InputError(
                f"{path}: expected {kind} of {width}x{height} pixels as the photo, got {got}"
            )

    def _decode(
        self, image: Image.Image, data: bytes
    ) -> tuple[NDArray[np.unsignedinteger], Meanings]:
        """Pixels and what they mean; a palette's colours are translated, not its pixels."""
        if image.mode == "L" and not self.colored:
            grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # is faster
            if grey is not None and grey.shape == image.size[::-1] and grey.dtype == np.uint8:
                return grey, self.meanings
        if not self.colored:
            codes = np.asarray(image)  # of palette images the indices
            return (codes.astype(np.uint8) if codes.dtype == bool else codes), self.meanings
        if image.mode == "P":
            palette = image.getpalette("RGB") or []
            triples = zip(*[iter(palette)] * 3, strict=False)
            colors = [red << 16 | green << 8 | blue for red, green, blue in triples]
            known = {i: self.meanings[c] for i, c in enumerate(colors) if c in self.meanings}
            return np.asarray(image), known
        return join_channels(np.asarray(image)), self.meanings
