"""The vertices of outlines: repeated ones and needles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from annotation.findings import Complaint
from annotation.rules.drawing import Drawing
from annotation.rules.measures import Floats, Measured

Points = tuple[tuple[float, float], ...]
DRAWN_ROUND = frozenset({"polygon", "rectangle", "oriented_rectangle"})


@dataclass(frozen=True)
class Rings:
    """P vertices of all outlines, ring after ring.

    `row` (P,) of the shape in `Measured`; `vertex` (P,) number within the shape's points; `points`
    (P, 2) x, y pixels; `edges` (P, 2) from each vertex to the next one of its ring, `lengths` (P,)
    of them; `before` (P,) where the vertex before lies in these arrays.
    """

    row: NDArray[np.intp]
    vertex: NDArray[np.intp]
    points: Floats
    edges: Floats
    lengths: Floats
    before: NDArray[np.intp]


def outline_complaints(
    drawing: Drawing, measured: Measured, sound: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """Repeated vertices; needles of the outlines that are `sound` (N,), other things being wrong.

    An outline without area has its complaint already.
    """
    rings = _rings(drawing, measured)
    if not len(rings.row):
        return
    repeated = rings.lengths <= drawing.limits.repeated_distance
    if repeated.any():
        yield from _repetitions(drawing, measured, rings, repeated)
        kept = ~repeated  # edges without a direction would hide needles
        rings = _closed(rings.row[kept], rings.vertex[kept], rings.points[kept])
    yield from _needles(drawing, measured, rings, sound)


def _rings(drawing: Drawing, measured: Measured) -> Rings:
    """Outlines as drawn; a rectangle given by two corners has nothing to be found."""
    drawn = [
        (row, _open(drawing.shapes[index].points))
        for row, index in enumerate(measured.index.tolist())
        if drawing.shapes[index].shape_type in DRAWN_ROUND and len(drawing.shapes[index].points) > 2
    ]
    counts = np.array([len(points) for _, points in drawn], np.intp)
    total = int(counts.sum())
    numbers = chain.from_iterable(chain.from_iterable(points for _, points in drawn))
    points = np.fromiter(numbers, np.float64, 2 * total).reshape(-1, 2)
    row = np.repeat(np.array([row for row, _ in drawn], np.intp), counts)
    vertex = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return _closed(row, vertex, points)


def _open(points: Points) -> Points:
    """Without a last point that says the first again: many programs close outlines so."""
    return points[:-1] if points[0] == points[-1] else points


def _closed(row: NDArray[np.intp], vertex: NDArray[np.intp], points: Floats) -> Rings:
    """Rings of vertices that stand in their order; the last of a ring is followed by the first."""
    here = np.arange(len(row))
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ends = np.append(starts[1:], len(row))[: len(starts)] - 1
    after, before = here + 1, here - 1
    after[ends], before[starts] = starts, ends
    edges = points[after] - points
    return Rings(row, vertex, points, edges, np.hypot(edges[:, 0], edges[:, 1]), before)


def _repetitions(
    drawing: Drawing, measured: Measured, rings: Rings, repeated: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """One complaint a shape, with the first vertices that another one repeats."""
    repeated = repeated & (measured.areas[rings.row] > 0)
    for row in np.unique(rings.row[repeated]).tolist():
        vertices = rings.vertex[repeated & (rings.row == row)]
        numbers = ", ".join(f"points[{vertex}]" for vertex in vertices[:5].tolist())
        message = (
            f"expected vertices more than {drawing.limits.repeated_distance:g} px apart,"
            f" got {len(vertices)} that the next one repeats: {numbers}"
        )
        yield Complaint("points-repeated", int(measured.index[row]), message, "remove the vertices")


def _needles(
    drawing: Drawing, measured: Measured, rings: Rings, sound: NDArray[np.bool_]
) -> Iterator[Complaint]:
    """Vertices to which the outline runs and from which it comes back nearly the same way.

    At the border of the photo they are right: there a thing is cut off.
    """
    limits = drawing.limits
    back, there = -rings.edges[rings.before], rings.edges
    in_length, out_length = rings.lengths[rings.before], rings.lengths
    narrow = np.cos(np.radians(min(limits.spike_angle, 180)))
    sharp = (back * there).sum(axis=1) > narrow * in_length * out_length
    needle = sharp & (np.minimum(in_length, out_length) > limits.spike_length) & sound[rings.row]
    for i in np.flatnonzero(needle & ~_at_border(drawing, rings.points)).tolist():
        (x, y), length = rings.points[i], min(in_length[i], out_length[i])
        cross = there[i, 0] * back[i, 1] - there[i, 1] * back[i, 0]
        angle = np.degrees(np.arctan2(abs(cross), (back[i] * there[i]).sum()))
        message = (
            f"points[{rings.vertex[i]}] at x, y = {x:.0f}, {y:.0f} is a needle of {length:.0f} px"
            f" and {angle:.1f} degrees; expected {limits.spike_angle:g} or more"
        )
        fix = "remove the vertex, or move it onto the outline of the thing"
        yield Complaint("spike", int(measured.index[rings.row[i]]), message, fix)


def _at_border(drawing: Drawing, points: Floats) -> NDArray[np.bool_]:
    """Which of (N, 2) x, y pixels lie within the margin of the photo's border, or beyond it."""
    if drawing.size is None:
        return np.zeros(len(points), np.bool_)
    height, width = drawing.size
    inner = np.minimum(points, [width, height] - points)
    return np.asarray((inner <= drawing.limits.margin).any(axis=1))
