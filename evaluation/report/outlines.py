"""Outlines of segments as SVG paths, and where their names fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.panoptic import measure
from conversion.coco.png import SegmentIds

TOLERANCE = 0.6  # pixels by which an outline may leave the border, so that it has few points


@dataclass(frozen=True)
class Region:
    """The pixels of a segment: a (h, w) bool mask of its box, which begins at `left` and `top`.

    `width` and `height` are those of the picture, in pixels.
    """

    mask: NDArray[np.bool_]
    left: int
    top: int
    width: int
    height: int

    @property
    def share(self) -> float:
        """The share of the picture's pixels."""
        return float(np.count_nonzero(self.mask)) / (self.width * self.height)


@dataclass(frozen=True)
class Place:
    """A place in a picture, in percent of its width and height."""

    x: float
    y: float


def find_regions(ids: SegmentIds) -> dict[int, Region]:
    """Return the region of each segment id in (H, W) uint32 `ids`, except void."""
    height, width = ids.shape
    regions = {}
    for segment_id, extent in measure(ids).items():
        left, top, wide, high = extent.xywh
        mask = ids[top : top + high, left : left + wide] == segment_id
        regions[segment_id] = Region(mask, left, top, width, height)
    return regions


def outline_path(region: Region) -> str:
    """Return the outline of a region as the data of an SVG path.

    Its points are the centres of pixels, counted from 0.
    """
    mask, offset = region.mask.astype(np.uint8), (region.left, region.top)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
    parts = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, TOLERANCE, True)[:, 0].tolist()
        parts.append(f"M{'L'.join(f'{x} {y}' for x, y in points)}Z")
    return "".join(parts)


def innermost(region: Region) -> Place:
    """Return the point of a region that is farthest from its border."""
    padded = cv2.copyMakeBorder(region.mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(padded, cv2.DIST_L2, 3))
    x, y = (region.left + x - 0.5) / region.width, (region.top + y - 0.5) / region.height
    return Place(round(100 * x, 1), round(100 * y, 1))


@dataclass(frozen=True)
class Label:
    """Text at a place of a picture; it is never wider than the picture.

    At a `place` of 0, its left or upper side is at that of the picture; at 100, it is the right or
    lower side.
    """

    text: str
    place: Place
    share: float = 0.0  # of the picture's pixels that its segment has


# What a character and a line take of a picture that is shown 420 pixels wide: in percent.
_WIDTH, _HEIGHT = 1.7, 6.5


def label_beside(region: Region, text: str, taken: Sequence[Label]) -> Label | None:
    """Return a label above or below a region, or within it, that covers no other label.

    Returns None if there is no such place.
    """
    high, wide = region.mask.shape
    middle = round(100 * (region.left + wide / 2) / region.width, 1)
    above = 100 * region.top / region.height - _HEIGHT - 1
    below = 100 * (region.top + high) / region.height + 1
    ys = [round(y / (1 - _HEIGHT / 100), 1) for y in (above, below)]
    places = [*(Place(middle, y) for y in ys if 0 <= y <= 100), innermost(region)]
    boxes = [_box(label) for label in taken]
    for place in places:
        label = Label(text, place)
        if not any(_overlap(_box(label), other) for other in boxes):
            return label
    return None


def without_overlaps(labels: Iterable[Label], taken: Iterable[Label]) -> tuple[Label, ...]:
    """Return the labels that cover no other one; large segments come first."""
    boxes = [_box(label) for label in taken]
    kept = []
    for label in sorted(labels, key=lambda one: -one.share):
        box = _box(label)
        if not any(_overlap(box, other) for other in boxes):
            boxes.append(box)
            kept.append(label)
    return tuple(kept)


def _box(label: Label) -> tuple[float, float, float, float]:
    width = min(100.0, _WIDTH * len(label.text) + 2)
    left, top = label.place.x * (1 - width / 100), label.place.y * (1 - _HEIGHT / 100)
    return left, top, left + width, top + _HEIGHT


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
