"""Rules about the vertices of outlines: repeated vertices and spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from annotation.findings import Complaint
from annotation.rules.figures import FigureArrays, Floats
from annotation.rules.resolved import ResolvedAnnotation

Points = tuple[tuple[float, float], ...]
WITH_VERTICES = frozenset({"polygon", "rectangle", "oriented_rectangle"})


@dataclass(frozen=True)
class Rings:
    """The P vertices of all outlines, ring after ring.

    `row` (P,) is the row of the shape in FigureArrays, `vertex` (P,) the index among the shape's
    points, `points` (P, 2) x, y in pixels, `edges` (P, 2) the vectors to the next vertex of the
    ring with their `lengths` (P,), `before` (P,) the index of the previous vertex in these arrays.
    """

    row: NDArray[np.intp]
    vertex: NDArray[np.intp]
    points: Floats
    edges: Floats
    lengths: Floats
    before: NDArray[np.intp]


def outline_complaints(
    resolved: ResolvedAnnotation, arrays: FigureArrays, sound: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """Report repeated vertices, and the spikes of outlines that have no other problem.

    `sound` (N,) is True for these outlines. Outlines without an area are reported by another rule.
    """
    rings = _rings(resolved, arrays)
    if not len(rings.row):
        return
    repeated = rings.lengths <= resolved.limits.repeated_distance
    if repeated.any():
        yield from _repetitions(resolved, arrays, rings, repeated)
        kept = ~repeated  # edges of length 0 have no direction and would hide spikes
        rings = _closed(rings.row[kept], rings.vertex[kept], rings.points[kept])
    yield from _spikes(resolved, arrays, rings, sound)


def _rings(resolved: ResolvedAnnotation, arrays: FigureArrays) -> Rings:
    """Return the outlines as drawn; rectangles given by two corners have nothing to check."""
    drawn = [
        (row, _open(resolved.shapes[index].points))
        for row, index in enumerate(arrays.index.tolist())
        if resolved.shapes[index].shape_type in WITH_VERTICES
        and len(resolved.shapes[index].points) > 2
    ]
    counts = np.array([len(points) for _, points in drawn], np.intp)
    total = int(counts.sum())
    numbers = chain.from_iterable(chain.from_iterable(points for _, points in drawn))
    points = np.fromiter(numbers, np.float64, 2 * total).reshape(-1, 2)
    row = np.repeat(np.array([row for row, _ in drawn], np.intp), counts)
    vertex = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return _closed(row, vertex, points)


def _open(points: Points) -> Points:
    """Drop a last point that repeats the first, with which many programs close outlines."""
    return points[:-1] if points[0] == points[-1] else points


def _closed(row: NDArray[np.intp], vertex: NDArray[np.intp], points: Floats) -> Rings:
    """Compute the edges of rings whose vertices are in order; the first follows the last."""
    here = np.arange(len(row))
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ends = np.append(starts[1:], len(row))[: len(starts)] - 1
    after, before = here + 1, here - 1
    after[ends], before[starts] = starts, ends
    edges = points[after] - points
    return Rings(row, vertex, points, edges, np.hypot(edges[:, 0], edges[:, 1]), before)


def _repetitions(
    resolved: ResolvedAnnotation, arrays: FigureArrays, rings: Rings, repeated: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """Report each shape once, with the first vertices that the next vertex repeats."""
    repeated = repeated & (arrays.areas[rings.row] > 0)
    for row in np.unique(rings.row[repeated]).tolist():
        vertices = rings.vertex[repeated & (rings.row == row)]
        numbers = ", ".join(f"points[{vertex}]" for vertex in vertices[:5].tolist())
        message = (
            f"expected vertices more than {resolved.limits.repeated_distance:g} px apart,"
            f" found {len(vertices)} that the next vertex repeats: {numbers}"
        )
        yield Complaint("points-repeated", int(arrays.index[row]), message, "remove the vertices")


def _spikes(
    resolved: ResolvedAnnotation, arrays: FigureArrays, rings: Rings, sound: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """Report vertices from which the outline returns in nearly the direction it came from.

    Spikes at the border of the photo are allowed, because the border cuts things off.
    """
    limits = resolved.limits
    back, there = -rings.edges[rings.before], rings.edges
    in_length, out_length = rings.lengths[rings.before], rings.lengths
    narrow = np.cos(np.radians(min(limits.spike_angle, 180)))
    sharp = (back * there).sum(axis=1) > narrow * in_length * out_length
    spike = sharp & (np.minimum(in_length, out_length) > limits.spike_length) & sound[rings.row]
    for i in np.flatnonzero(spike & ~_at_border(resolved, rings.points)).tolist():
        (x, y), length = rings.points[i].tolist(), min(in_length[i], out_length[i])
        cross = there[i, 0] * back[i, 1] - there[i, 1] * back[i, 0]
        angle = np.degrees(np.arctan2(abs(cross), (back[i] * there[i]).sum()))
        message = (
            f"points[{rings.vertex[i]}] at x, y = {x:.0f}, {y:.0f} is a spike of {length:.0f} px"
            f" with an angle of {angle:.1f} degrees; expected {limits.spike_angle:g} or more"
        )
        fix = "remove the vertex, or move it onto the outline of the thing"
        shape = int(arrays.index[rings.row[i]])
        yield Complaint("spike", shape, message, fix, place=(x, y))


def _at_border(resolved: ResolvedAnnotation, points: Floats) -> NDArray[np.bool_]:
    """Return which of (N, 2) points lie at the border of the photo, or beyond it."""
    if resolved.size is None:
        return np.zeros(len(points), np.bool_)
    height, width = resolved.size
    inner = np.minimum(points, [width, height] - points)
    return np.asarray((inner <= resolved.limits.margin).any(axis=1))
