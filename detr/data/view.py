"""A view of a photo: the part of it that is seen, at which size, mirrored or not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detr.config import TrainConfig

THINNEST = 32  # pixels, the backbone's largest stride


@dataclass(frozen=True)
class View:
    """A rectangle of the photo, in its pixels, brought to (out_height, out_width)."""

    x: int
    y: int
    width: int
    height: int
    out_width: int
    out_height: int
    mirrored: bool = False

    def of_photo(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to (out_height, out_width, 3); pixels are averaged."""
        part = pixels[self.y : self.y + self.height, self.x : self.x + self.width]
        shrinks = self.out_width < self.width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        seen = np.asarray(cv2.resize(part, (self.out_width, self.out_height), interpolation=how))
        return seen[:, ::-1] if self.mirrored else seen

    def of_ids(self, ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(H, W) to (out_height, out_width); each pixel takes the id at its centre."""
        rows = self.y + _centres(self.height, self.out_height)
        columns = self.x + _centres(self.width, self.out_width)
        if self.mirrored:
            columns = columns[::-1]
        return ids[rows[:, None], columns]


def _centres(size: int, out: int) -> NDArray[np.int64]:
    """For `out` pixels over `size` pixels: which pixel lies under each one's centre."""
    return (np.arange(out) * 2 + 1) * size // (2 * out)


def plain_view(config: TrainConfig, *, width: int, height: int) -> View:
    """The whole photo at the size for testing and predicting."""
    out = _scaled(width, height, shorter=config.min_size, longest=config.max_size)
    return View(0, 0, width, height, *out)


def draw_view(rng: np.random.Generator, config: TrainConfig, *, width: int, height: int) -> View:
    """A random view for training: a size, sometimes a part, half of the time mirrored."""
    shorter = int(rng.choice(config.train_sizes))
    mirrored = bool(rng.random() < 0.5) and config.flip
    x, y, w, h = 0, 0, width, height
    if rng.random() < config.crop:
        w, h = (max(1, round(side * rng.uniform(0.5, 1))) for side in (width, height))
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    out = _scaled(w, h, shorter=shorter, longest=config.max_size)
    return View(x, y, w, h, *out, mirrored)


def _scaled(width: int, height: int, *, shorter: int, longest: int) -> tuple[int, int]:
    """Width and height with a shorter side of `shorter`, or less if the longer is `longest`.

    What would be thinner than a feature of the backbone is seen that thick.
    """
    scale = min(shorter / min(width, height), longest / max(width, height))
    return max(THINNEST, round(width * scale)), max(THINNEST, round(height * scale))
