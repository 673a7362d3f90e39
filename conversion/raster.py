"""Shapes to pixels, as pycocotools defines them."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from shapely.geometry.base import BaseGeometry

from annotation.geometry import LINES, mask_pixels, outline, widened
from annotation.labelme import Shape

Cropped = tuple[NDArray[np.bool_], tuple[int, int]]  # (h, w) pixels of a box, and its x, y


def shape_mask(shape: Shape, *, height: int, width: int, line_width: float) -> Cropped:
    """Pixels of a shape in an (H, W) picture; lines and points are widened to `line_width`."""
    if shape.shape_type == "mask":
        return _clipped(*mask_pixels(shape), height=height, width=width)
    if shape.shape_type in LINES:
        return _region_mask(widened(shape, line_width), height=height, width=width)
    return polygon_mask(outline(shape), height=height, width=width)


def polygon_mask(polygon: NDArray[np.float64], *, height: int, width: int) -> Cropped:
    """Pixels of a polygon, (N, 2) x, y pixels, in an (H, W) picture.

    The pixels are those of pycocotools' `frPyObjects`: cv2.fillPoly would add a rim of half a
    pixel, which makes small things markedly larger.
    """
    (rle,) = coco_mask.frPyObjects([polygon.ravel().tolist()], height, width)
    x, y, box_width, box_height = coco_mask.toBbox(rle).astype(int).tolist()
    whole = coco_mask.decode(rle)
    return whole[y : y + box_height, x : x + box_width].astype(bool), (x, y)


def _clipped(
    mask: NDArray[np.bool_], corner: tuple[int, int], *, height: int, width: int
) -> Cropped:
    """The part of a mask that lies in the picture."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    inside = mask[top : max(0, height - y), left : max(0, width - x)]
    return inside, (max(0, x), max(0, y))


def _region_mask(region: BaseGeometry, *, height: int, width: int) -> Cropped:
    """Pixels of polygons with holes."""
    whole = np.zeros((height, width), bool)
    for polygon in [] if region.is_empty else shapely.get_parts(region):
        rings = [(polygon.exterior, True), *((ring, False) for ring in polygon.interiors)]
        for ring, filled in rings:
            mask, (x, y) = polygon_mask(np.array(ring.coords[:-1]), height=height, width=width)
            whole[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = filled
    return whole, (0, 0)


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, object]:
    """(H, W) bool mask as COCO's compressed run-length code, ready for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
