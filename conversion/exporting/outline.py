"""A mask as one outline, including its holes and separate parts."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

Points = NDArray[np.float64]


def outline_of_mask(mask: NDArray[np.bool_]) -> Points:
    """Return (N, 2) x, y along the edges of the pixels of (H, W) `mask`, which must not be empty.

    Formats with one polygon per thing cannot represent holes and separate parts. Therefore all
    rings are joined by bridges of zero width, which cover no pixels. Holes have the opposite
    direction, so that both the even-odd and the nonzero rule give the mask.
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    region = shapely.union_all(shapely.box(starts, rows, stops, rows + 1))
    rings = []
    for polygon in shapely.get_parts(region):
        whole = shapely.geometry.polygon.orient(polygon.simplify(0))
        rings += [np.array(ring.coords)[:-1] for ring in (whole.exterior, *whole.interiors)]
    rings.sort(key=len, reverse=True)
    outline = rings[0]
    for ring in rings[1:]:
        outline = _bridged(outline, ring)
    return outline


def _bridged(outline: Points, ring: Points) -> Points:
    """Insert `ring` into `outline` at the point of the outline that is nearest to it."""
    gaps = np.hypot(*(outline[:, None] - ring[None]).transpose(2, 0, 1))
    here, there = np.unravel_index(np.argmin(gaps), gaps.shape)
    around = np.concatenate([ring[there:], ring[: there + 1]])
    return np.concatenate([outline[: here + 1], around, outline[here:]])
