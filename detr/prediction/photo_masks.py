"""Masks of a photo's size whose outlines follow the edges of the photo.

Masks are predicted at a quarter of the resolution of the model's input, so enlarged ones are off
by a few pixels. The guided filter moves their outlines to the nearest edges of the photo (He, Sun
and Tang, "Guided Image Filtering", TPAMI 2013). For photos larger than the input, its coefficients
are computed at the size of the input and enlarged (He and Sun, "Fast Guided Filter", 2015). On 60
photos of yard rendered with seed 101, it lifted the PQ of a run of an hour by 0.6 points, its box
AP by 1.7 and its mask AP by 2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from detr.model.fast.sizes import Size, canvas_size

Plane = NDArray[np.float32]  # (H, W)
Planes = list[Plane]

RADIUS = 3  # of the filter, in pixels of the photo or the input, whichever is smaller
EPSILON = 1e-3  # variance of colours in 0..1: less is not an edge
LEAST = 0.01  # probability; the filter leaves out what surrounds the pixels above it


class PhotoMasks:
    """Turns mask logits at stride 4 of the model's input into probabilities of a photo's size.

    `pixels` is the photo, (H, W, 3) uint8, `input_size` the size of the model's input, and `size`
    that of the masks, both (height, width).
    """

    def __init__(self, pixels: NDArray[np.uint8], *, input_size: Size, size: Size) -> None:
        self.size = size
        self._input_size = input_size
        image = _resize(pixels, size)
        self._photo = _planes(image)
        self._filtered_size = min(size[0], input_size[0]), min(size[1], input_size[1])
        self._colors = _planes(_resize(image, self._filtered_size))
        self._means = [_blur(color) for color in self._colors]
        self._inverse = _inverse_covariance(self._colors, self._means)

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probability (H, W) of each pixel, on the CPU, from logits (h, w)."""
        enlarged = self._enlarge(logits).sigmoid().numpy()
        filtered = np.zeros(self.size, np.float32)
        rows, columns = (_window(enlarged.max(1 - axis) > LEAST) for axis in (0, 1))
        if rows.stop and columns.stop:
            self._filter(enlarged, rows, columns, filtered)
        return torch.from_numpy(filtered)

    def _enlarge(self, logits: Tensor) -> Tensor:
        """Resize logits of the canvas, of which the photo fills the upper left part."""
        height, width = self._filtered_size
        whole = [
            max(full, round(large * full / small))
            for large, full, small in zip(
                canvas_size(self._input_size), self._filtered_size, self._input_size, strict=True
            )
        ]
        masks = logits[None, None].float().cpu()
        return F.interpolate(masks, size=whole, mode="bilinear")[0, 0, :height, :width]

    def _filter(self, mask: Plane, rows: slice, columns: slice, out: Plane) -> None:
        """Filter a part of a mask; write it to the same part of `out`, which has the photo's size.

        In each neighbourhood, the result is the linear function of the colours closest to the mask.
        """
        part = np.ascontiguousarray(mask[rows, columns])
        offset = _blur(part)
        means = [mean[rows, columns] for mean in self._means]
        covariances = [
            _blur(color[rows, columns] * part) - mean * offset
            for color, mean in zip(self._colors, means, strict=True)
        ]
        slopes = []
        for of_color, mean in zip(self._inverse, means, strict=True):
            slopes.append(_dot([plane[rows, columns] for plane in of_color], covariances))
            offset = offset - slopes[-1] * mean
        *slopes, offset = (_blur(plane) for plane in (*slopes, offset))
        part_of_photo = self._part_of_photo(rows, columns)
        rows, columns = part_of_photo.rows, part_of_photo.columns
        values = part_of_photo.enlarge(offset)
        for slope, color in zip(slopes, self._photo, strict=True):
            cv2.accumulateProduct(part_of_photo.enlarge(slope), color[rows, columns], values)
        np.clip(values, 0, 1, out=out[rows, columns])

    def _part_of_photo(self, rows: slice, columns: slice) -> _Part:
        """Return the part of the photo that a part of the filtered size covers."""
        matrix, windows = np.zeros((2, 3)), list[slice]()
        for axis, window in ((0, rows), (1, columns)):
            full, small = self.size[axis], self._filtered_size[axis]
            start, stop = window.start * full // small, -(-window.stop * full // small)
            matrix[1 - axis, 1 - axis] = small / full
            # the centres of pixels are at 0.5, 1.5, ...
            matrix[1 - axis, 2] = (start + 0.5) * small / full - 0.5 - window.start
            windows.append(slice(start, stop))
        return _Part(windows[0], windows[1], matrix)


@dataclass(frozen=True)
class _Part:
    """A part of a photo, and the (2, 3) matrix from its pixels to those of a smaller version."""

    rows: slice
    columns: slice
    matrix: NDArray[np.float64]

    def enlarge(self, plane: Plane) -> Plane:
        if self.matrix[0, 0] == self.matrix[1, 1] == 1:
            return plane
        width = self.columns.stop - self.columns.start
        height = self.rows.stop - self.rows.start
        flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        enlarged = cv2.warpAffine(
            plane, self.matrix, (width, height), flags=flags, borderMode=border
        )
        return np.asarray(enlarged, np.float32)


def _window(present: NDArray[np.bool_]) -> slice:
    """Return the range of the true values (N,) and of what the filter reads around them."""
    found = np.flatnonzero(present)
    if not found.size:
        return slice(0, 0)
    first, last = int(found[0]), int(found[-1])
    return slice(max(0, first - 2 * RADIUS), min(len(present), last + 1 + 2 * RADIUS))


def _inverse_covariance(colors: Planes, means: Planes) -> list[Planes]:
    """Return the inverse, 3x3 planes, of the covariance of the colours around each pixel."""
    covariance = [[np.empty(0, np.float32)] * 3 for _ in colors]
    for i, j in combinations_with_replacement(range(3), 2):
        plane = _blur(colors[i] * colors[j]) - means[i] * means[j]
        covariance[i][j] = covariance[j][i] = plane + np.float32(EPSILON) if i == j else plane
    crosses = [_cross(covariance[i - 2], covariance[i - 1]) for i in range(3)]
    determinant = _dot(covariance[0], crosses[0])
    return [[plane / determinant for plane in cross] for cross in crosses]


def _cross(one: Planes, other: Planes) -> Planes:
    return [one[i - 2] * other[i - 1] - one[i - 1] * other[i - 2] for i in range(3)]


def _dot(one: Planes, other: Planes) -> Plane:
    first, second, third = (a * b for a, b in zip(one, other, strict=True))
    return np.asarray(first + second + third, np.float32)


def _blur(plane: Plane) -> Plane:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _planes(image: NDArray[np.uint8]) -> Planes:
    """Convert (H, W, 3) uint8 to three (H, W) float32 in 0..1; arithmetic on these is faster."""
    return [np.divide(plane, 255, dtype=np.float32) for plane in cv2.split(image)]


def _resize(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
