"""Outlines that cross themselves: the area that conversion paints, and the area that is in doubt.

pycocotools, with which conversion paints, fills the regions that an outline encloses an odd number
of times. Regions that it encloses twice are lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

MOST_CROSSINGS = 200  # of one outline; people draw fewer, and repairing takes quadratic time
BLOCK = 64  # edges whose crossings are counted at once
MOST_ROWS, MOST_PARTS = 1024, 20_000  # of an outline that crosses itself more often than that
GAP = 1e-6  # of a row, between its parts and those of the next row


@dataclass(frozen=True)
class CrossedOutline:
    """The region that an invalid outline paints, and `doubt`, square pixels that may be a mistake.

    These are the larger of two areas: what the outline encloses an even number of times, which is
    `lost`, and its loops that run in the other direction, which are half of a figure of eight. Both
    are infinite if the outline crosses itself too often for them to be computed.
    """

    painted: BaseGeometry
    doubt: float
    lost: float


def resolve_crossings(outline: BaseGeometry) -> CrossedOutline:
    """Compute what an invalid outline, a polygon without holes, paints."""
    if is_tangled(outline):
        return CrossedOutline(_painted_rows(outline), np.inf, np.inf)
    faces = outline_faces(outline)
    areas = shapely.area(faces.polygons)
    lost = float(areas[(faces.winding != 0) & (faces.winding % 2 == 0)].sum())
    backward = min(float(areas[faces.winding * sign > 0].sum()) for sign in (1, -1))
    return CrossedOutline(faces.painted(), max(lost, backward), lost)


def is_tangled(outline: BaseGeometry) -> bool:
    """Return whether an outline crosses itself so often that repairing it would take too long."""
    points = shapely.get_coordinates(outline)
    points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))]
    edges = np.asarray(shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1)))
    tree = shapely.STRtree(edges)
    found = -3 * len(edges)  # every edge meets itself and its neighbours
    for start in range(0, len(edges), BLOCK):
        found += tree.query(edges[start : start + BLOCK], predicate="intersects").shape[1]
        if found > 2 * MOST_CROSSINGS:
            return True
    return False


@dataclass(frozen=True)
class OutlineFaces:
    """The F regions into which an outline divides its inside; how often it winds around each.

    `winding` (F,) is positive if the outline runs clockwise around the region on the screen. It is
    0 in a hole into which the outline leads and around which it runs in the other direction.
    """

    polygons: NDArray[np.object_]
    winding: NDArray[np.intp]

    def painted(self) -> BaseGeometry:
        """Return the union of the regions that conversion paints."""
        return _union(self.polygons[self.winding % 2 != 0])

    def enclosed(self) -> BaseGeometry:
        """Return the union of all regions except for holes."""
        return _union(self.polygons[self.winding != 0])


def outline_faces(outline: BaseGeometry) -> OutlineFaces:
    """Divide the inside of an outline, which must not be tangled; no regions if GEOS fails."""
    points = shapely.get_coordinates(outline)
    try:
        faces = shapely.polygonize([shapely.union_all([shapely.LineString(points)])])
    except shapely.GEOSException:
        return OutlineFaces(np.empty(0, object), np.empty(0, np.intp))
    polygons = np.asarray(shapely.get_parts(faces))
    inner = shapely.get_coordinates(shapely.point_on_surface(polygons))
    return OutlineFaces(polygons, _winding_numbers(points, inner))


def _winding_numbers(ring: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Count how often a closed ring, (N, 2), winds around each of (F, 2) points."""
    x, y = points[:, 0, None], points[:, 1, None]
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
    down = (y0 <= y) & (y1 > y) & (side > 0)
    up = (y0 > y) & (y1 <= y) & (side < 0)
    return np.asarray(down.sum(axis=1) - up.sum(axis=1))


def _union(polygons: NDArray[np.object_]) -> BaseGeometry:
    try:
        return shapely.union_all(polygons) if len(polygons) else shapely.Polygon()
    except shapely.GEOSException:
        return shapely.Polygon()


def _painted_rows(outline: BaseGeometry) -> BaseGeometry:
    """Return the region that an outline encloses an odd number of times, row by row of pixels.

    Rows are higher than a pixel if there would be too many rows or parts.
    """
    points = shapely.get_coordinates(outline)
    top, bottom = np.floor(points[:, 1].min()), np.ceil(points[:, 1].max())
    height = max(bottom - top, 1.0)
    parts_of_a_row = np.abs(np.diff(points[:, 1])).sum() / height / 2
    count = min(MOST_ROWS, MOST_PARTS / max(parts_of_a_row, 1.0))
    side = max(1.0, np.ceil(height / count))
    rows = [_runs(points, y, side) for y in np.arange(top, bottom, side).tolist()]
    return shapely.MultiPolygon(np.concatenate([np.empty(0, object), *rows]).tolist())


def _runs(points: NDArray[np.float64], y: float, side: float) -> NDArray[np.object_]:
    """Return the boxes that an outline, (N, 2), paints in the row from `y` to `y + side`."""
    centre = y + side / 2
    above = points[:, 1] <= centre
    edges = np.flatnonzero(above[1:] != above[:-1])
    (x0, y0), (x1, y1) = points[edges].T, points[edges + 1].T
    places = np.sort(x0 + (centre - y0) / (y1 - y0) * (x1 - x0))
    starts, ends = places[::2], places[1::2]
    kept = ends > starts
    # parts of rows must not touch, or they would not be valid together
    apart = np.append(True, starts[1:] > ends[:-1])
    starts, ends = starts[kept & apart], ends[kept & apart]
    return np.asarray(shapely.box(starts, y + GAP, ends, y + side - GAP))
