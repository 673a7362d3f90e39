"""Photos as Labelme shows them, and the parts of them that pictures show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.labelme.annotation import Annotation
from annotation.photos.decoding import MOST_MEMORY, MUCH_MEMORY, apply_orientation, decoding_memory
from annotation.photos.depth import eight_bit
from annotation.photos.files import Size, open_embedded, open_photo, read_header, read_photo
from base.errors import InputError
from base.workers import alone

Picture = NDArray[np.uint8]  # (HEIGHT, WIDTH, 3) RGB
WIDTH, HEIGHT = 360, 270  # pixels of a picture
CONTEXT = 1.7  # width of the view divided by that of the shape
LEAST = 64  # smallest width of a view in pixels of the photo, and ...
LEAST_SHARE = 1 / 10  # ... as a share of its width
OUTSIDE = 0.25  # how much may be shown outside the photo, as a share of its sides
GROUND = (222, 222, 216)  # the colour outside the photo


@dataclass(frozen=True)
class View:
    """The part of a photo, whose size is `photo`, that fills a picture; in pixels of the photo."""

    x0: float
    y0: float
    x1: float
    y1: float
    photo: Size

    @property
    def scale(self) -> float:
        """Pixels of the picture per pixel of the photo."""
        return WIDTH / (self.x1 - self.x0)

    @property
    def share(self) -> float:
        """The area of the view divided by that of the photo."""
        return (self.x1 - self.x0) * (self.y1 - self.y0) / (self.photo[0] * self.photo[1])

    def to_picture(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert (N, 2) x, y in pixels of the photo to pixels of the picture."""
        return np.asarray((points - (self.x0, self.y0)) * self.scale)


def whole(size: Size) -> View:
    """Return a view of the whole photo, with a margin if its aspect ratio differs."""
    height, width = size
    return _centred(width / 2, height / 2, size, width=max(width, height * WIDTH / HEIGHT))


def around(points: NDArray[np.float64], size: Size) -> View:
    """Return a view of (N, 2) points, or of the whole photo if they are far outside it."""
    sides = np.array([size[1], size[0]], np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    if (high < -OUTSIDE * sides).any() or (low > (1 + OUTSIDE) * sides).any():
        return whole(size)
    low, high = np.maximum(low, -OUTSIDE * sides), np.minimum(high, (1 + OUTSIDE) * sides)
    tight = max(high[0] - low[0], (high[1] - low[1]) * WIDTH / HEIGHT)
    entire = whole(size)
    most = max(entire.x1 - entire.x0, tight * 1.1)
    width = min(max(tight * CONTEXT, LEAST, LEAST_SHARE * size[1]), most)
    shown = np.array([width, width * HEIGHT / WIDTH])
    # show no more of the outside of the photo than the points need
    start, end = np.minimum(0, low - 0.05 * shown), np.maximum(sides, high + 0.05 * shown)
    room = np.maximum((end - start - shown) / 2, 0)
    middle = (start + end) / 2
    x, y = np.clip((low + high) / 2, middle - room, middle + room).tolist()
    return _centred(x, y, size, width=width)


def _centred(x: float, y: float, photo: Size, *, width: float) -> View:
    height = width * HEIGHT / WIDTH
    return View(x - width / 2, y - height / 2, x + width / 2, y + height / 2, photo)


@dataclass
class Scene:
    """A photo of `size` as Labelme shows it; `pixels`, (h, w, 3) RGB, may be smaller."""

    image: Image.Image
    size: Size
    orientation: int
    pixels: Picture = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8))

    def load(self, views: Sequence[View]) -> None:
        """Decode the photo at the size that the views need.

        Raises InputError if that takes too much memory.
        """
        factor = max(1.0, 1 / max(view.scale for view in views))
        memory = decoding_memory(self.image)
        if memory > MOST_MEMORY:
            raise InputError("is too large to show")
        with alone() if memory > MUCH_MEMORY else nullcontext():
            if self.image.format in ("JPEG", "MPO") and self.image.mode == "RGB":
                width, height = self.image.size
                self.image.draft("RGB", (int(width / factor), int(height / factor)))
            self.image.load()
            seen = eight_bit(self.image).convert("RGB")
        self.pixels = np.asarray(apply_orientation(seen, self.orientation), np.uint8)

    def cut(self, view: View) -> Picture:
        """Return the pixels of a view, with GROUND outside the photo."""
        (h, w), (height, width) = self.pixels.shape[:2], self.size
        factor = max(1, int(w / width / view.scale))
        small = self.pixels
        if factor > 1:  # warping alone would skip pixels of the photo
            sides = (max(1, w // factor), max(1, h // factor))
            small = np.asarray(cv2.resize(small, sides, interpolation=cv2.INTER_AREA), np.uint8)
        x_scale = view.scale * width / small.shape[1]
        y_scale = view.scale * height / small.shape[0]
        x = (x_scale - 1) / 2 - view.x0 * view.scale  # coordinates of the centres of pixels
        y = (y_scale - 1) / 2 - view.y0 * view.scale
        matrix = np.array([[x_scale, 0, x], [0, y_scale, y]])
        cut = cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), borderValue=GROUND)
        return np.asarray(cut, np.uint8)


@contextmanager
def open_scene(photo: Path | None, annotation: Annotation | None) -> Iterator[Scene]:
    """Open a photo, or its copy in the annotation.

    Raises InputError if neither can be read.
    """
    if photo is None:
        if annotation is None or annotation.image_data is None:
            raise InputError("no photo to show")
        with open_embedded(annotation.image_data) as image:
            yield Scene(image, (image.height, image.width), orientation=1)
        return
    header = read_header(photo)
    if header.bits > 8:  # Pillow would show only the high bytes of colours
        rgb = read_photo(photo)[..., ::-1]
        yield Scene(Image.fromarray(np.ascontiguousarray(rgb)), header.size, orientation=1)
        return
    with open_photo(photo) as image:
        orientation = 1 if header.tiff else header.orientation  # Pillow itself rotates TIFF files
        yield Scene(image, header.size, orientation)
