"""The view of a photo that a model reads: a resized crop, which may be mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detr.config import TrainConfig

MIN_SIDE = 32  # pixels: the backbone's largest stride


@dataclass(frozen=True)
class View:
    """A rectangle of the photo, in its pixels, resized to (out_height, out_width)."""

    x: int
    y: int
    width: int
    height: int
    out_width: int
    out_height: int
    mirrored: bool = False

    def transform_photo(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to (out_height, out_width, 3), averaging or interpolating pixels."""
        crop = pixels[self.y : self.y + self.height, self.x : self.x + self.width]
        shrinks = self.out_width < self.width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        size = (self.out_width, self.out_height)
        resized = np.asarray(cv2.resize(crop, size, interpolation=method))
        return resized[:, ::-1] if self.mirrored else resized

    def transform_ids(self, ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(H, W) to (out_height, out_width); each pixel takes the id at its centre."""
        rows = self.y + _centres(self.height, self.out_height)
        columns = self.x + _centres(self.width, self.out_width)
        if self.mirrored:
            columns = columns[::-1]
        return ids[rows[:, None], columns]


def _centres(size: int, out: int) -> NDArray[np.int64]:
    """Return the indices of the pixels, of `size`, at the centres of `out` resized pixels."""
    return (np.arange(out) * 2 + 1) * size // (2 * out)


def whole_view(config: TrainConfig, *, width: int, height: int) -> View:
    """Return the view for testing and prediction: the whole photo at the configured size."""
    return _whole(config, width, height, size_in_testing(config))


def size_in_testing(config: TrainConfig) -> tuple[int, int]:
    """Return the length of the shorter and the maximum length of the longer side in testing."""
    return round(config.min_size * config.test_scale), round(config.max_size * config.test_scale)


def whole_training_view(config: TrainConfig, *, width: int, height: int) -> View:
    """Return the view of the whole photo at the size of training, without `test_scale`."""
    return _whole(config, width, height, (config.min_size, config.max_size))


def _whole(config: TrainConfig, width: int, height: int, sides: tuple[int, int]) -> View:
    shorter, longest = sides
    least = 1 if config.variant == "fast" else MIN_SIDE  # `FastDETR` pads photos itself
    size = _scaled(width, height, shorter=shorter, longest=longest, least=least)
    return View(0, 0, width, height, *size)


def random_view(rng: np.random.Generator, config: TrainConfig, *, width: int, height: int) -> View:
    """Return a view for training: of random size, sometimes cropped, mirrored half the time."""
    shorter = int(rng.choice(config.train_sizes))
    mirrored = bool(rng.random() < 0.5) and config.flip
    x, y, w, h = 0, 0, width, height
    if rng.random() < config.crop:
        w, h = (max(1, round(side * rng.uniform(0.5, 1))) for side in (width, height))
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    size = _scaled(w, h, shorter=shorter, longest=config.max_size)
    return View(x, y, w, h, *size, mirrored)


def _scaled(
    width: int, height: int, *, shorter: int, longest: int, least: int = MIN_SIDE
) -> tuple[int, int]:
    """Scale width and height to a shorter side of `shorter`, or to a longer side of `longest`.

    The smaller of the two sizes is used, but neither side is shorter than `least`.
    """
    scale = min(shorter / min(width, height), longest / max(width, height))
    return max(least, round(width * scale)), max(least, round(height * scale))
