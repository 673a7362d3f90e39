"""Outlines of masks with few vertices, which a person can correct by hand.

Vertices are removed one after another, each time where the outline moves over the smallest area. A
step removes a vertex (Visvalingam and Whyatt, 1993), or replaces an edge by a point such that the
area of the polygon stays the same (Kronenfeld et al., "Simplification of polylines by segment
collapse: minimizing areal displacement while preserving area", 2020).

Points are complex numbers x + iy, which Python computes several times faster than small arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import shapely

Ring = list[complex]

STAIRS = 0.75  # pixels: the steps between pixels, which are removed first
_FAR = 3.0  # a new point is at most this many times as far away as the edge that it replaces
_PARALLEL = 1e-9


def simplify(polygon: shapely.Polygon, *, least_iou: float) -> list[tuple[float, float]]:
    """Return the x, y of an outline without holes that has few vertices.

    Its IoU with `polygon`, whose holes are ignored, is at least `least_iou`.
    """
    whole = shapely.Polygon(polygon.exterior)
    smooth = whole.simplify(STAIRS)
    if not isinstance(smooth, shapely.Polygon) or _iou(smooth, whole) < least_iou:
        smooth = whole
    found = [complex(x, y) for x, y in smooth.exterior.coords[:-1]]
    for ring in _ever_simpler(found):
        candidate = shapely.Polygon(_coordinates(ring))
        if not candidate.is_valid or _iou(candidate, whole) < least_iou:
            break
        found = ring
    return _coordinates(found)


def _iou(first: shapely.Polygon, second: shapely.Polygon) -> float:
    both = first.intersection(second).area
    return float(both / (first.area + second.area - both))


def _coordinates(ring: Ring) -> list[tuple[float, float]]:
    return [(point.real, point.imag) for point in ring]


@dataclass(frozen=True)
class _Step:
    """Points `first` to `first + removed - 1` of a ring are replaced by `new`, moving `area`."""

    area: float
    first: int
    removed: int
    new: tuple[complex, ...]


def _ever_simpler(ring: Ring) -> Iterator[Ring]:
    """Yield outlines with one vertex less each, down to a triangle."""
    while len(ring) > 3:
        steps = (step for index in range(len(ring)) for step in _steps(ring, index))
        best = min(steps, key=lambda step: step.area)
        rolled = ring[best.first :] + ring[: best.first]
        ring = [*best.new, *rolled[best.removed :]]
        yield ring


def _steps(ring: Ring, index: int) -> Iterator[_Step]:
    """Yield the ways to simplify a ring at its vertex `index`."""
    before, here, after, beyond = (ring[(index + k - 1) % len(ring)] for k in range(4))
    yield _Step(abs(_cross(here - before, after - before)) / 2, index, 1, ())
    for point in _meeting_points(before, here, after, beyond):
        yield _Step(_moved_area(before, here, after, beyond, point), index, 2, (point,))


def _meeting_points(a: complex, b: complex, c: complex, d: complex) -> Iterator[complex]:
    """Yield points p on the lines through ab and cd for which a p d encloses the area of a b c d.

    Points that lie far away from the edge bc are left out.
    """
    base = d - a
    twice_area = _cross(b - a, c - a) + _cross(c - a, base)
    for origin, direction in ((a, b - a), (d, c - d)):
        rise = _cross(direction, base)
        if abs(rise) > _PARALLEL:
            share = (twice_area - _cross(origin - a, base)) / rise
            if 0 < share <= _FAR:
                yield origin + share * direction


def _moved_area(a: complex, b: complex, c: complex, d: complex, p: complex) -> float:
    """Return the area between the lines a b c d and a p d; both halves of it are equal.

    `p` lies on the line through ab or cd, so that one of the halves is a triangle at it.
    """
    on_first = abs(_cross(b - a, p - a)) <= abs(_cross(c - d, p - d))
    corner, other, end = (b, c, d) if on_first else (c, b, a)
    rise = _cross(end - p, other - corner)
    if abs(rise) < _PARALLEL:
        return abs(_cross(p - corner, other - corner))
    meeting = p + (end - p) * (_cross(corner - p, other - corner) / rise)
    return abs(_cross(corner - p, meeting - p))


def _cross(u: complex, v: complex) -> float:
    return u.real * v.imag - u.imag * v.real
