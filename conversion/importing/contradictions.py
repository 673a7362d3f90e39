"""Comparing the pixels of an annotation with the `bbox` and `area` that its file states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from annotation.photos.files import Size
from conversion.coco.cropped_mask import CroppedMask, box_around
from conversion.painting.raster import polygon_masks

_LEAST_IOU, _LEAST_PIXELS = 0.9, 2  # boxes that are less similar, by more pixels, contradict
_AREA_SHARE = 0.05  # areas that differ by less are equal

XYXY = tuple[float, float, float, float]


def contradicts_bbox(xyxy: XYXY | None, bbox: Sequence[float] | None, size: Size) -> bool:
    """Return whether the box of an annotation's pixels differs from the `bbox` in the file.

    Both are compared inside the photo. `xyxy` is None if there are no pixels. A bbox of one pixel
    or less is only a placeholder.
    """
    if xyxy is None or bbox is None or len(bbox) != 4 or max(bbox[2:]) <= 1:
        return False
    height, width = size
    x, y, w, h = bbox
    one = np.clip(xyxy, 0, (width, height) * 2)
    other = np.clip((x, y, x + w, y + h), 0, (width, height) * 2)
    low, high = np.maximum(one, other)[:2], np.minimum(one, other)[2:]
    both = float(np.prod(np.maximum(high - low, 0)))
    total = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - both
    far = float(np.abs(one - other).max()) > _LEAST_PIXELS
    return far and both < _LEAST_IOU * total


def area_has_holes(polygons: Sequence[Sequence[float]], area: Any, size: Size) -> bool:
    """Return whether `area` counts the inner outlines as holes, which pycocotools fills."""
    if len(polygons) < 2 or not isinstance(area, int | float) or isinstance(area, bool):
        return False
    if any(len(one) < 6 or len(one) % 2 for one in polygons):
        return False
    height, width = size
    outlines = [np.array(one, np.float64).reshape(-1, 2) for one in polygons]
    masks = polygon_masks(outlines, height=height, width=width)
    filled, with_holes = _areas(masks)
    unit = _AREA_SHARE * max(filled, 1)
    return abs(area - with_holes) < unit < abs(area - filled)


def _areas(masks: Sequence[CroppedMask]) -> tuple[int, int]:
    """Return the area of the union, and that of the pixels in an odd number of masks."""
    left, top, width, height = box_around(masks)
    counts = np.zeros((height, width), np.uint16)
    for mask in masks:
        y, x = mask.y - top, mask.x - left
        counts[y : y + mask.pixels.shape[0], x : x + mask.pixels.shape[1]] += mask.pixels
    return int(np.count_nonzero(counts)), int(np.count_nonzero(counts % 2))
