"""Outlines of masks with few vertices, which a person can correct by hand.

Vertices are removed one after another, each time where the outline moves over the smallest area. A
step removes a vertex (Visvalingam and Whyatt, 1993), or replaces an edge by a point such that the
area of the polygon stays the same (Kronenfeld et al., "Simplification of polylines by segment
collapse: minimizing areal displacement while preserving area", 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Points = NDArray[np.float64]

STAIRS = 0.75  # pixels: the steps between pixels, which are removed first
_FAR = 3.0  # a new point is at most this many times as far away as the edge that it replaces


def simplify(polygon: shapely.Polygon, *, least_iou: float) -> Points:
    """Return (N, 2) x, y of an outline without holes that has few vertices.

    Its IoU with `polygon`, whose holes are ignored, is at least `least_iou`.
    """
    whole = shapely.Polygon(polygon.exterior)
    smooth = whole.simplify(STAIRS)
    if not isinstance(smooth, shapely.Polygon) or iou(smooth, whole) < least_iou:
        smooth = whole.simplify(0)
    found = _ring(smooth)
    for points in _ever_simpler(found):
        candidate = shapely.Polygon(points)
        if not candidate.is_valid or iou(candidate, whole) < least_iou:
            break
        found = points
    return found


def iou(first: shapely.Polygon, second: shapely.Polygon) -> float:
    """Intersection over union of two valid polygons with an area."""
    both = first.intersection(second).area
    return float(both / (first.area + second.area - both))


def _ring(polygon: shapely.Polygon) -> Points:
    return np.array(polygon.exterior.coords)[:-1]


@dataclass(frozen=True)
class _Step:
    """Points `first` to `first + removed - 1` of a ring are replaced by `new`, moving `area`."""

    area: float
    first: int
    removed: int
    new: Points


def _ever_simpler(points: Points) -> Iterator[Points]:
    """Yield outlines with one vertex less each, down to a triangle."""
    while len(points) > 3:
        step = min((s for i in range(len(points)) for s in _steps(points, i)), key=lambda s: s.area)
        rolled = np.roll(points, -step.first, axis=0)
        points = np.concatenate([step.new, rolled[step.removed :]])
        yield points


def _steps(points: Points, index: int) -> list[_Step]:
    """Return the ways to simplify a ring at its vertex `index`."""
    before, here, after, beyond = (points[(index + k - 1) % len(points)] for k in range(4))
    nothing = np.empty((0, 2))
    steps = [_Step(abs(_cross(here - before, after - before)) / 2, index, 1, nothing)]
    for point in _meeting_points(before, here, after, beyond):
        moved = _moved_area(before, here, after, beyond, point)
        steps.append(_Step(moved, index, 2, point[None]))
    return steps


def _meeting_points(a: Points, b: Points, c: Points, d: Points) -> list[Points]:
    """Return points p on the lines through ab and cd for which a p d encloses the area of a b c d.

    Points that lie far away from the edge bc are left out.
    """
    base = d - a
    twice_area = _cross(b - a, c - a) + _cross(c - a, base)
    found = []
    for origin, direction in ((a, b - a), (d, c - d)):
        rise = _cross(direction, base)
        if abs(rise) > 1e-9:
            share = (twice_area - _cross(origin - a, base)) / rise
            if 0 < share <= _FAR:
                found.append(origin + share * direction)
    return found


def _moved_area(a: Points, b: Points, c: Points, d: Points, p: Points) -> float:
    """Return the area between the lines a b c d and a p d; both halves of it are equal.

    `p` lies on the line through ab or cd, so that one of the halves is a triangle at it.
    """
    on_first = abs(_cross(b - a, p - a)) <= abs(_cross(c - d, p - d))
    corner, other, end = (b, c, d) if on_first else (c, b, a)
    meeting = _intersection(p, end, corner, other)
    if meeting is None:
        return float(abs(_cross(p - corner, other - corner)))
    return float(abs(_cross(corner - p, meeting - p)))


def _intersection(a: Points, b: Points, c: Points, d: Points) -> Points | None:
    """Return where the lines through ab and cd meet; None if they are parallel."""
    rise = _cross(b - a, d - c)
    if abs(rise) < 1e-9:
        return None
    return np.asarray(a + (b - a) * (_cross(c - a, d - c) / rise))


def _cross(u: Points, v: Points) -> float:
    return float(u[0] * v[1] - u[1] * v[0])
