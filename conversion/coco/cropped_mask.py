"""A mask that is stored only for the box around its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

XYWH = tuple[int, int, int, int]


class Extent(NamedTuple):
    """The number of pixels of a region and the box around them, both in pixels."""

    area: int
    xywh: XYWH


@dataclass(frozen=True, slots=True, eq=False)
class CroppedMask:
    """The pixels of one region of a picture, stored for a box around the region.

    `pixels` (h, w) bool are those of the box whose top left pixel is at column `x` and row `y` of
    the picture. Most shapes cover a small part of their photo, and time and memory are proportional
    to the box, not to the photo.

    It is not a good representation of regions that are scattered over the whole picture. The box
    may be larger than the region: use `measure` for its exact extent. Two masks of the same region
    may have different boxes, so masks cannot be compared. A mask does not store the size of its
    picture. Masks may share their pixels: never change them.
    """

    pixels: NDArray[np.bool_]
    x: int = 0
    y: int = 0

    @classmethod
    def of_segment(cls, ids: NDArray[Any], segment_id: int, xywh: XYWH) -> CroppedMask:
        """Return the pixels of a segment that lies in the box `xywh` of (H, W) `ids`."""
        x, y, width, height = xywh
        return cls(ids[y : y + height, x : x + width] == segment_id, x, y)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the box covers."""
        height, width = self.pixels.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

    @property
    def area(self) -> int:
        """Number of pixels of the region."""
        return int(np.count_nonzero(self.pixels))

    def measure(self) -> Extent | None:
        """Return the area and the tight box of the region; None if it has no pixels."""
        if not self.pixels.any():
            return None
        pixels = np.ascontiguousarray(self.pixels).view(np.uint8)
        x, y, width, height = cv2.boundingRect(pixels)
        return Extent(cv2.countNonZero(pixels), (self.x + x, self.y + y, width, height))

    def paint(self, picture: NDArray[Any], value: int) -> None:
        """Set the pixels of the region to `value` in `picture`, (H, W), in place."""
        picture[self.window][self.pixels] = value

    def without(self, *others: CroppedMask) -> CroppedMask:
        """Return the pixels of this mask that are in none of the others."""
        kept = self.pixels.copy() if others else self.pixels
        bottom, right = self.y + kept.shape[0], self.x + kept.shape[1]
        for other in others:
            height, width = other.pixels.shape
            x0, x1 = max(self.x, other.x), min(right, other.x + width)
            y0, y1 = max(self.y, other.y), min(bottom, other.y + height)
            if x0 < x1 and y0 < y1:
                cut = other.pixels[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x]
                kept[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x] &= ~cut
        return CroppedMask(kept, self.x, self.y)


NO_PIXELS = CroppedMask(np.zeros((0, 0), bool))


def union(masks: Iterable[CroppedMask]) -> CroppedMask:
    """Return the pixels that are in any of the masks."""
    masks = [mask for mask in masks if mask.pixels.size]
    if len(masks) < 2:
        return masks[0] if masks else NO_PIXELS
    left, top, width, height = box_around(masks)
    whole = np.zeros((height, width), bool)
    for mask in masks:
        x, y = mask.x - left, mask.y - top
        whole[y : y + mask.pixels.shape[0], x : x + mask.pixels.shape[1]] |= mask.pixels
    return CroppedMask(whole, left, top)


def box_around(masks: Iterable[CroppedMask]) -> XYWH:
    """Return the box around the boxes of all masks; its size is 0 if all of them are empty."""
    masks = [mask for mask in masks if mask.pixels.size]
    if not masks:
        return 0, 0, 0, 0
    left, top = min(mask.x for mask in masks), min(mask.y for mask in masks)
    right = max(mask.x + mask.pixels.shape[1] for mask in masks)
    bottom = max(mask.y + mask.pixels.shape[0] for mask in masks)
    return left, top, right - left, bottom - top
