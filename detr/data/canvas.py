"""Training views of `variant: fast`: a photo at a random scale on a canvas of fixed size.

All photos of a set share the canvas, so a batch needs no padding. What lies beyond the canvas is
cut off; where the photo does not reach, the canvas is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detr.config import TrainConfig
from detr.data.view import MIN_SIDE, View, whole_view

GREY = 127  # of the canvas around the photo, about the mean of photos
Size = tuple[int, int]  # width, height
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class CanvasView:
    """A view of a photo on a canvas, with its upper left corner at (left, top), all in pixels."""

    view: View
    left: int
    top: int
    canvas: Size

    def transform_photo(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to the size of the canvas, grey around the photo."""
        return self._placed(self.view.transform_photo(pixels), GREY)

    def transform_ids(self, ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(H, W) to the size of the canvas, 0 around the photo."""
        return self._placed(self.view.transform_ids(ids), 0)

    def _placed(self, values: NDArray[T], around: int) -> NDArray[T]:
        width, height = self.canvas
        placed: NDArray[T] = np.full((height, width, *values.shape[2:]), around, values.dtype)
        rows = slice(self.top, self.top + self.view.out_height)
        placed[rows, self.left : self.left + self.view.out_width] = values
        return placed


def canvas_size(config: TrainConfig, sizes: Sequence[Size]) -> Size:
    """Return the canvas for training photos of these sizes, a multiple of 32 pixels.

    It has the mean area and the mean aspect ratio (both geometric) of the photos in testing.
    """
    views = [whole_view(config, width=width, height=height) for width, height in sizes]
    sides = np.exp(np.log([(view.out_width, view.out_height) for view in views]).mean(0))
    # 240 pixels become 256, whichever way the mean of 240s is rounded
    width, height = (max(1, round(side / MIN_SIDE + 0.01)) * MIN_SIDE for side in sides)
    return width, height


def canvas_view(
    rng: np.random.Generator, config: TrainConfig, canvas: Size, *, width: int, height: int
) -> CanvasView:
    """Return a random view of a photo of width x height pixels.

    At a zoom of 1 it has the scale of testing. `config.zoom` and `config.stretch` are the ranges of
    the scale and of its change along each side.
    """
    whole = whole_view(config, width=width, height=height)
    zoom = np.exp(rng.uniform(*np.log(config.zoom)))
    scaled = np.array([whole.out_width, whole.out_height]) * zoom
    scaled *= np.exp(rng.uniform(-config.stretch, config.stretch, 2))
    places = rng.random(2)
    mirrored = bool(rng.random() < 0.5) and config.flip
    (x, w, left, out_w), (y, h, top, out_h) = (
        _place(side, float(length), own, place)
        for side, length, own, place in zip(canvas, scaled, (width, height), places, strict=True)
    )
    return CanvasView(View(x, y, w, h, out_w, out_h, mirrored), left, top, canvas)


def _place(canvas: int, scaled: float, own: int, place: float) -> tuple[int, int, int, int]:
    """Place a side of `own` pixels, `scaled` long, on a canvas; `place` is from 0 to 1.

    Returns where the visible part starts and how long it is, in the photo, then on the canvas.
    """
    start = (canvas - scaled) * place  # negative if the photo is larger
    first, last = max(0.0, start), min(float(canvas), start + scaled)
    left = min(round(first), canvas - 1)
    length = max(1, round(last) - left)
    at = min(int((first - start) / scaled * own), own - 1)
    visible = max(1, min(own - at, round((last - first) / scaled * own)))
    return at, visible, left, length
