"""The areas that shapes of things cover when they are painted, and which of them overlap."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.labelme.instances import painting_order
from annotation.rules.figures import (
    FigureArrays,
    Figures,
    Floats,
    as_array,
    difference,
    intersections,
    union,
)
from annotation.rules.resolved import ResolvedAnnotation

BLOCK = 256  # rows of boxes compared at once: some megabytes for thousands of shapes
MOST_NEIGHBOURS = 64  # later shapes that a shape is compared with; only scribbles have more

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class PaintedParts:
    """N parts of things and of ignored regions, in the order in which they are painted.

    `shape` and `owner` (N,) are the indices of the shape and of its instance. `figures` (N,) are
    clipped to the photo and cut by the holes of their group; `areas` (N,) are their areas in square
    pixels; `boxes` (N, 4) xyxy in pixels may be larger than the figures.
    """

    shape: Indices
    owner: Indices
    figures: Figures
    boxes: Floats
    areas: Floats


def painted_parts(
    resolved: ResolvedAnnotation, arrays: FigureArrays, without: Collection[int]
) -> PaintedParts:
    """Return the parts that have an area in the photo, except for the shapes `without`."""
    row_of = {shape: row for row, shape in enumerate(arrays.index.tolist())}
    areas = [
        sum(arrays.areas[row_of[part]] for part in instance.parts if part in row_of)
        for instance in resolved.instances
    ]
    parts = [
        (shape, row_of[shape], owner)
        for shape, owner in painting_order(resolved.instances, resolved.config, areas)
        if shape in row_of and shape not in without
    ]
    table = np.array(parts, np.intp).reshape(-1, 3)
    table = table[arrays.areas[table[:, 1]] > 0]
    rows = table[:, 1]
    whole = PaintedParts(
        table[:, 0], table[:, 2], arrays.figures[rows], arrays.boxes[rows], arrays.areas[rows]
    )
    return _cut(resolved, arrays, row_of, _clipped(resolved, whole))


def _clipped(resolved: ResolvedAnnotation, painted: PaintedParts) -> PaintedParts:
    """Clip the parts to the photo; drop those outside."""
    if resolved.size is None or min(resolved.size) <= 0:
        return painted
    height, width = resolved.size
    boxes = np.minimum(np.maximum(painted.boxes, 0), [width, height, width, height])
    over = np.flatnonzero((boxes != painted.boxes).any(axis=1))
    if not len(over):
        return painted
    figures, photo = painted.figures.copy(), as_array([shapely.box(0, 0, width, height)])
    figures[over] = intersections(figures[over], np.repeat(photo, len(over)))
    areas = shapely.area(figures)
    kept = areas > 0
    return PaintedParts(
        painted.shape[kept], painted.owner[kept], figures[kept], boxes[kept], areas[kept]
    )


def _cut(
    resolved: ResolvedAnnotation,
    arrays: FigureArrays,
    row_of: dict[int, int],
    painted: PaintedParts,
) -> PaintedParts:
    """Cut the holes of their group out of the parts."""
    if not any(instance.holes for instance in resolved.instances):
        return painted
    figures = painted.figures.copy()
    unions: dict[tuple[int, ...], BaseGeometry] = {}  # many things can have the same holes
    for i, owner in enumerate(painted.owner.tolist()):
        holes = resolved.instances[owner].holes
        if holes and holes not in unions:
            rows = [row_of[hole] for hole in holes if hole in row_of]
            unions[holes] = union(arrays.figures[rows])
        if holes:
            figures[i] = difference(figures[i], unions[holes])
    return PaintedParts(painted.shape, painted.owner, figures, painted.boxes, shapely.area(figures))


@dataclass(frozen=True)
class Pairs:
    """M pairs of rows of PaintedParts whose boxes overlap.

    `most` (M,) is an upper bound on the overlap in square pixels.
    """

    early: Indices
    late: Indices
    most: Floats

    def only(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return the chosen pairs, (M,)."""
        return Pairs(self.early[chosen], self.late[chosen], self.most[chosen])


def overlapping_pairs(painted: PaintedParts) -> Pairs:
    """Return the pairs whose boxes overlap; for each early part, only the largest overlaps."""
    early, late, most = [], [], []
    for start in range(0, len(painted.boxes), BLOCK):
        shared = _overlaps(painted.boxes[start : start + BLOCK], painted.boxes[start:])
        first, second = np.nonzero(shared)
        early.append(first + start)
        late.append(second + start)
        most.append(shared[first, second])
    pairs = Pairs(*(np.concatenate([[], *parts]) for parts in (early, late, most)))
    rows, others = pairs.early.astype(np.intp), pairs.late.astype(np.intp)
    bound = np.minimum(pairs.most, np.minimum(painted.areas[rows], painted.areas[others]))
    return Pairs(rows, others, bound)


def _overlaps(boxes: Floats, all_boxes: Floats) -> Floats:
    """Return (B, N) areas that `boxes`, (B, 4), share with later ones of `all_boxes`, (N, 4)."""
    low = np.maximum(boxes[:, None, :2], all_boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], all_boxes[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = np.triu(sides[..., 0] * sides[..., 1], 1)
    if shared.shape[1] > MOST_NEIGHBOURS:
        small = np.argpartition(shared, -MOST_NEIGHBOURS, axis=1)[:, :-MOST_NEIGHBOURS]
        np.put_along_axis(shared, small, 0, axis=1)
    return np.asarray(shared)
