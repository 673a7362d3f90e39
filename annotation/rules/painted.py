"""What each shape of a thing covers once painted, and which of them meet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.labelme.instances import painting_order
from annotation.rules.drawing import Drawing
from annotation.rules.measures import Figures, Floats, Measured, as_array, common, less, together

BLOCK = 256  # rows of boxes compared at once: some megabytes for thousands of shapes
MOST_NEIGHBOURS = 64  # later shapes a shape is compared with; only a file of scribbles has more

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Painted:
    """N parts of things and of ignored regions, in the order in which they are painted.

    `shape` and `owner` (N,) are indices of the shape and of its instance; `figures` (N,) lie in
    the photo and are cut by the holes of their group; `areas` (N,) are theirs; `boxes` (N, 4) xyxy
    pixels may be larger.
    """

    shape: Indices
    owner: Indices
    figures: Figures
    boxes: Floats
    areas: Floats


def paint(drawing: Drawing, measured: Measured, without: Collection[int]) -> Painted:
    """Parts that have an area in the photo, but for the shapes `without`."""
    row_of = {shape: row for row, shape in enumerate(measured.index.tolist())}
    areas = [
        sum(measured.areas[row_of[part]] for part in instance.parts if part in row_of)
        for instance in drawing.instances
    ]
    parts = [
        (shape, row_of[shape], owner)
        for shape, owner in painting_order(drawing.instances, drawing.config, areas)
        if shape in row_of and shape not in without
    ]
    table = np.array(parts, np.intp).reshape(-1, 3)
    table = table[measured.areas[table[:, 1]] > 0]
    rows = table[:, 1]
    whole = Painted(
        table[:, 0], table[:, 2], measured.figures[rows], measured.boxes[rows], measured.areas[rows]
    )
    return _cut(drawing, measured, row_of, _clipped(drawing, whole))


def _clipped(drawing: Drawing, painted: Painted) -> Painted:
    """The parts inside the photo; those outside are dropped."""
    if drawing.size is None or min(drawing.size) <= 0:
        return painted
    height, width = drawing.size
    boxes = np.minimum(np.maximum(painted.boxes, 0), [width, height, width, height])
    over = np.flatnonzero((boxes != painted.boxes).any(axis=1))
    if not len(over):
        return painted
    figures = painted.figures.copy()
    figures[over] = common(figures[over], as_array([shapely.box(0, 0, width, height)] * len(over)))
    areas = shapely.area(figures)
    kept = areas > 0
    return Painted(
        painted.shape[kept], painted.owner[kept], figures[kept], boxes[kept], areas[kept]
    )


def _cut(drawing: Drawing, measured: Measured, row_of: dict[int, int], painted: Painted) -> Painted:
    """The parts less the holes of their group."""
    if not any(instance.holes for instance in drawing.instances):
        return painted
    figures = painted.figures.copy()
    unions: dict[tuple[int, ...], BaseGeometry] = {}  # many things can have the same holes
    for i, owner in enumerate(painted.owner.tolist()):
        holes = drawing.instances[owner].holes
        if holes and holes not in unions:
            rows = [row_of[hole] for hole in holes if hole in row_of]
            unions[holes] = together(measured.figures[rows])
        if holes:
            figures[i] = less(figures[i], unions[holes])
    return Painted(painted.shape, painted.owner, figures, painted.boxes, shapely.area(figures))


@dataclass(frozen=True)
class Pairs:
    """M pairs of rows of `Painted` whose boxes overlap; `most` (M,) square pixels can be common."""

    early: Indices
    late: Indices
    most: Floats

    def only(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The chosen ones, (M,)."""
        return Pairs(self.early[chosen], self.late[chosen], self.most[chosen])


def meet(painted: Painted) -> Pairs:
    """All pairs whose boxes overlap, each early one with its largest neighbours."""
    early, late, most = [], [], []
    for start in range(0, len(painted.boxes), BLOCK):
        room = _overlaps(painted.boxes[start : start + BLOCK], painted.boxes[start:])
        first, second = np.nonzero(room)
        early.append(first + start)
        late.append(second + start)
        most.append(room[first, second])
    pairs = Pairs(*(np.concatenate([[], *parts]) for parts in (early, late, most)))
    rows, others = pairs.early.astype(np.intp), pairs.late.astype(np.intp)
    bound = np.minimum(pairs.most, np.minimum(painted.areas[rows], painted.areas[others]))
    return Pairs(rows, others, bound)


def _overlaps(boxes: Floats, all_boxes: Floats) -> Floats:
    """(B, N) areas in which boxes (B, 4) overlap later ones of (N, 4), of which they are first."""
    low = np.maximum(boxes[:, None, :2], all_boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], all_boxes[None, :, 2:])
    sides = np.maximum(high - low, 0)
    room = np.triu(sides[..., 0] * sides[..., 1], 1)
    if room.shape[1] > MOST_NEIGHBOURS:
        small = np.argpartition(room, -MOST_NEIGHBOURS, axis=1)[:, :-MOST_NEIGHBOURS]
        np.put_along_axis(room, small, 0, axis=1)
    return np.asarray(room)
