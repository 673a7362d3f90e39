"""Converting Labelme shapes to pixels, exactly as pycocotools does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from shapely.geometry.base import BaseGeometry

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import LINES, mask_pixels, outline, widened
from conversion.coco.cropped_mask import CroppedMask, union
from conversion.coco.rle import decode_counts, decompress_counts


def shape_masks(
    shapes: Sequence[Shape], *, height: int, width: int, line_width: float
) -> list[CroppedMask]:
    """Return the pixels of each shape in an (H, W) picture.

    Lines and points are widened to `line_width` pixels. All outlines are filled in one call.
    """
    outlines: list[NDArray[np.float64]] = []
    masks: list[CroppedMask | None] = []
    for shape in shapes:
        if shape.shape_type == "mask":
            masks.append(_clipped(*mask_pixels(shape, (height, width)), height=height, width=width))
        elif shape.shape_type in LINES:
            masks.append(_region_mask(widened(shape, line_width), height=height, width=width))
        else:
            outlines.append(outline(shape))
            masks.append(None)
    filled = iter(polygon_masks(outlines, height=height, width=width))
    return [next(filled) if mask is None else mask for mask in masks]


def polygon_masks(
    polygons: Sequence[NDArray[np.float64]], *, height: int, width: int
) -> list[CroppedMask]:
    """Return the pixels of polygons, each (N, 2) x, y in pixels, in an (H, W) picture.

    The pixels are those of pycocotools' `frPyObjects`. cv2.fillPoly would add a border of half a
    pixel, which makes small things considerably larger. pycocotools would decode RLE for the whole
    picture, which would take most of the time; here, only the box is decoded.
    """
    if not polygons:
        return []
    rles = coco_mask.frPyObjects([one.ravel().tolist() for one in polygons], height, width)
    counts = decompress_counts([rle["counts"] for rle in rles])
    return [decode_counts(one, height=height) for one in counts]


def _clipped(
    pixels: NDArray[np.bool_], corner: tuple[int, int], *, height: int, width: int
) -> CroppedMask:
    """Return the part of a mask with its top left pixel at `corner` x, y that is in the picture."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    inside = pixels[top : max(0, height - y), left : max(0, width - x)]
    return CroppedMask(inside, max(0, x), max(0, y))


def _region_mask(region: BaseGeometry, *, height: int, width: int) -> CroppedMask:
    """Return the pixels of polygons with holes."""
    filled = []
    for polygon in [] if region.is_empty else shapely.get_parts(region):
        rings = [np.array(ring.coords[:-1]) for ring in (polygon.exterior, *polygon.interiors)]
        exterior, *interiors = polygon_masks(rings, height=height, width=width)
        filled.append(exterior.without(*interiors))
    return union(filled)
