"""Areas and boxes of outlines, equal to those of pycocotools' pixels, without computing pixels.

`rleFrPoly` in pycocotools (common/maskApi.c) rounds vertices to fifths of a pixel, follows all
edges in steps of a fifth, and keeps a point wherever an edge enters the middle fifth of a column of
pixels: one row for each column that the edge crosses. This module computes only these rows, with
the rounding of C, for all edges of many outlines at once. Sorted, they are the ends of the runs of
pixels. pycocotools itself takes three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Measures = tuple[int, list[float]]  # area and xywh box, in pixels

# Within these limits, C's integers do not overflow, and rounding gives the same results here
LONGEST = 1 << 15  # side of a picture in pixels
FURTHEST = 1e6  # coordinate in pixels
MOST_ROWS = 1 << 19  # at once, about 75 MB
_ROW, _COLUMN = 20, 40  # bits below a column and an outline in a sorted key
_MASK = (1 << _ROW) - 1


class _Edges(NamedTuple):
    """E edges that cross columns, as arrays (E,), in fifths of a pixel along their longer axis."""

    outline: Ints  # index
    height: Ints  # of the picture in pixels
    first: Ints  # column that is crossed
    columns: Ints  # number of columns that are crossed
    x: Ints  # of the end at which C starts, the lower one on the longer axis
    y: Ints
    slope: Floats  # of the shorter axis by the longer one
    wide: NDArray[np.bool_]  # whether x is the longer axis

    def only(self, which: NDArray[np.bool_]) -> _Edges:
        chosen = np.flatnonzero(which)
        columns: list[Any] = [values[chosen] for values in self]
        return _Edges(*columns)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat the value of each edge for each column that it crosses."""
        return np.repeat(values, self.columns)


def measure_outlines(
    outlines: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]]
) -> list[Measures]:
    """Return area and box of each outline, flat x, y in pixels, in a picture of its (H, W) size.

    They equal those of pycocotools' `frPyObjects`, which takes three times as long for many
    outlines.
    """
    if not outlines:
        return []
    xy = np.array(list(chain.from_iterable(outlines)), float).reshape(-1, 2)
    small = all(0 < side < LONGEST for size in set(sizes) for side in size)
    if not (small and np.abs(xy).max() <= FURTHEST):  # False for NaN
        return [_measure_slowly(one, size) for one, size in zip(outlines, sizes, strict=True)]
    edges = _edges(xy, np.array([len(one) // 2 for one in outlines]), np.array(sizes))
    if edges.columns.sum() > MOST_ROWS and len(outlines) > 1:
        half = len(outlines) // 2
        first = measure_outlines(outlines[:half], sizes[:half])
        return first + measure_outlines(outlines[half:], sizes[half:])
    keys = np.concatenate([_keys(edges.only(edges.wide)), _keys(edges.only(~edges.wide))])
    keys.sort()
    areas, boxes = _measures(keys, len(outlines))
    return list(zip(areas.tolist(), boxes.tolist(), strict=True))


def _measure_slowly(outline: Sequence[float], size: tuple[int, int]) -> Measures:
    codes = coco_mask.frPyObjects([list(outline)], *size)
    return int(coco_mask.area(codes)[0]), coco_mask.toBbox(codes)[0].tolist()


def _edges(xy: Floats, vertices: Ints, sizes: Ints) -> _Edges:
    """Return the edges of outlines with `vertices` (N,) points each, in `xy` (V, 2).

    `sizes` (N, 2) are height and width of the pictures. An edge crosses a column between its third
    and its fourth fifth.
    """
    x, y = (5 * xy + 0.5).astype(np.int64).T  # rounded towards zero, as in C
    ends = vertices.cumsum()
    after = np.arange(1, len(x) + 1)
    after[ends - 1] = ends - vertices
    outline = np.repeat(np.arange(len(vertices)), vertices)
    column = np.clip((x + 2) // 5, 0, sizes[outline, 1])  # the next one to the right
    one = np.flatnonzero(column != column[after])
    other = after[one]
    dx, dy = x[other] - x[one], y[other] - y[one]
    wide = np.abs(dx) >= np.abs(dy)
    longer, shorter = np.where(wide, dx, dy), np.where(wide, dy, dx)
    start = np.where(longer < 0, other, one)
    return _Edges(
        outline=outline[one],
        height=sizes[outline[one], 0],
        first=np.minimum(column[one], column[other]),
        columns=np.abs(column[other] - column[one]),
        x=x[start],
        y=y[start],
        slope=shorter / longer,
        wide=wide,
    )


def _keys(edges: _Edges) -> Ints:
    """Return outline, column and row as one number for each column that each edge crosses.

    `edges` are all wide or all steep. The row is that of the upper of the two points between which
    the edge crosses; below the middle of a pixel, it is the next row.
    """
    ends = edges.columns.cumsum()
    column = np.arange(edges.columns.sum()) + edges.spread(edges.first + edges.columns - ends)
    third = 5 * column + 2
    row: Ints = _wide_y(edges, third) if edges.wide.all() else _steep_y(edges, third)
    row += 2
    row //= 5
    np.maximum(row, 0, out=row)
    np.minimum(row, edges.spread(edges.height), out=row)
    row += column << _ROW
    row += edges.spread(edges.outline << _COLUMN)
    return row


def _wide_y(edges: _Edges, third: Ints) -> Ints:
    """Return the fifths at which wide edges leave the `third` fifth of a column, or enter it."""
    steps = third - edges.spread(edges.x - (edges.slope < 0))
    y: Floats = edges.spread(edges.y) + edges.spread(edges.slope) * steps + 0.5
    return y.astype(np.int64)


def _steep_y(edges: _Edges, third: Ints) -> Ints:
    """Return the last fifth of steep edges above the border behind the `third` fifth."""
    x, slope = edges.spread(edges.x), edges.spread(edges.slope)
    steps: Floats = np.rint((third + 0.5 - x) / slope)  # the border is within half a step
    behind = (x + slope * steps + 0.5 >= third + 1) == (slope > 0)
    y: Ints = edges.spread(edges.y) + steps.astype(np.int64) - behind
    return y


def _measures(keys: Ints, count: int) -> tuple[Ints, Floats]:
    """Return areas (N,) and xywh boxes (N, 4) of `count` outlines from their sorted keys.

    An outline crosses a column as often to the left as to the right, so runs end in their column.
    """
    start, length = keys[0::2], keys[1::2] - keys[0::2]
    filled = np.flatnonzero(length)
    start, length = start[filled], length[filled]
    areas, boxes = np.zeros(count, np.int64), np.zeros((count, 4))
    bounds = np.searchsorted(start, np.arange(count + 1) << _COLUMN)
    found = np.flatnonzero(bounds[1:] > bounds[:-1])  # the others are empty
    if len(found):
        at, last = bounds[found], bounds[found + 1] - 1
        row = start & _MASK
        top, bottom = np.minimum.reduceat(row, at), np.maximum.reduceat(row + length, at)
        left, right = (start[at] >> _ROW) & _MASK, ((start[last] >> _ROW) & _MASK) + 1
        areas[found] = np.add.reduceat(length, at)
        boxes[found] = np.stack([left, top, right - left, bottom - top], axis=1)
    return areas, boxes
