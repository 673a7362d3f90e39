"""Polygons to pixels, as pycocotools defines them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


def polygon_mask(
    polygon: NDArray[np.float64], *, height: int, width: int
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Pixels of a polygon, (N, 2) x, y pixels, in an (H, W) picture: box-cropped mask, its x, y.

    The pixels are those of pycocotools' `frPyObjects`: cv2.fillPoly would add a rim of half a
    pixel, which makes small things markedly larger.
    """
    (rle,) = coco_mask.frPyObjects([polygon.ravel().tolist()], height, width)
    x, y, box_width, box_height = coco_mask.toBbox(rle).astype(int).tolist()
    whole = coco_mask.decode(rle)
    return whole[y : y + box_height, x : x + box_width].astype(bool), (x, y)


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, object]:
    """(H, W) bool mask as COCO's compressed run-length code, ready for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
