"""Training views of `variant: fast`: a photo at a random scale on a canvas of fixed size.

All photos of a set share the canvas size, so batches need no padding. The scaled photo is cropped
to the canvas; the part of the canvas that it does not cover is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detr.config import TrainConfig
from detr.data.view import MIN_SIDE, View, whole_training_view

GREY = 127  # of the canvas around the photo; close to the mean of photos
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
        """Transform pixels (H, W, 3) to the canvas, grey around the photo."""
        return self._on_canvas(self.view.transform_photo(pixels), GREY)

    def transform_ids(self, ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Transform segment ids (H, W) to the canvas, 0 (void) around the photo."""
        return self._on_canvas(self.view.transform_ids(ids), 0)

    def _on_canvas(self, values: NDArray[T], around: int) -> NDArray[T]:
        width, height = self.canvas
        pasted: NDArray[T] = np.full((height, width, *values.shape[2:]), around, values.dtype)
        rows = slice(self.top, self.top + self.view.out_height)
        pasted[rows, self.left : self.left + self.view.out_width] = values
        return pasted


def shared_canvas(config: TrainConfig, sizes: Sequence[Size]) -> Size:
    """Return the canvas size for training photos of these sizes, in multiples of 32 pixels.

    It has the geometric mean area and aspect ratio of the photos at the size of training.
    """
    views = [whole_training_view(config, width=width, height=height) for width, height in sizes]
    sides = np.exp(np.log([(view.out_width, view.out_height) for view in views]).mean(0))
    # rounds 240 up to 256, even if the mean of sides of 240 is slightly less than 240
    width, height = (max(1, round(side / MIN_SIDE + 0.01)) * MIN_SIDE for side in sides)
    return width, height


def canvas_view(
    rng: np.random.Generator, config: TrainConfig, canvas: Size, *, width: int, height: int
) -> CanvasView:
    """Return a random view of a photo of width x height pixels.

    `config.zoom` is the range of the scale, relative to the size of training; `config.stretch`
    limits the additional random scale of each side.
    """
    whole = whole_training_view(config, width=width, height=height)
    zoom = np.exp(rng.uniform(*np.log(config.zoom)))
    scaled = np.array([whole.out_width, whole.out_height]) * zoom
    scaled *= np.exp(rng.uniform(-config.stretch, config.stretch, 2))
    positions = rng.random(2)
    mirrored = bool(rng.random() < 0.5) and config.flip
    (x, w, left, out_w), (y, h, top, out_h) = (
        _position(side, float(length), own, position)
        for side, length, own, position in zip(
            canvas, scaled, (width, height), positions, strict=True
        )
    )
    return CanvasView(View(x, y, w, h, out_w, out_h, mirrored), left, top, canvas)


def _position(canvas: int, scaled: float, own: int, position: float) -> tuple[int, int, int, int]:
    """Position one side of a photo, of length `own` and scaled to `scaled`, on the canvas.

    `position` is from 0 to 1. Returns the start and length of the visible part, in the photo and
    then on the canvas.
    """
    start = (canvas - scaled) * position  # negative if the scaled photo is larger
    first, last = max(0.0, start), min(float(canvas), start + scaled)
    left = min(round(first), canvas - 1)
    length = max(1, round(last) - left)
    first_own = min(int((first - start) / scaled * own), own - 1)
    visible = max(1, min(own - first_own, round((last - first) / scaled * own)))
    return first_own, visible, left, length
