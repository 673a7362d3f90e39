"""Figures of a photo's shapes as arrays: what all geometric rules start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.rules.drawing import Drawing

Figures = NDArray[np.object_]  # (N,) shapely geometries
Floats = NDArray[np.float64]
FLAT = 1e-9  # of the squared diagonal: what rounding makes of an area that is none
MOST_CROSSINGS = 200  # of one outline; mending takes quadratic time, and nobody drew that
BLOCK = 64  # edges whose crossings are counted at once


@dataclass(frozen=True)
class Measured:
    """The N shapes whose figure is known and not empty.

    `index` (N,) of the shape; `figures` (N,) valid, all that is enclosed where an outline crosses
    itself, and empty where it does so too often; `boxes` (N, 4) xyxy and `areas` (N,) in pixels,
    the area 0 where it is none but for rounding; `crossed` (N,) where an outline crosses itself,
    and does not only touch itself.
    """

    index: NDArray[np.intp]
    figures: Figures
    boxes: Floats
    areas: Floats
    crossed: NDArray[np.bool_]


def measure(drawing: Drawing) -> Measured:
    """Measure all shapes of a photo at once."""
    known = [(index, covered) for index, _, covered in drawing.known()]
    index = np.array([index for index, _ in known], np.intp)
    figures = as_array([covered for _, covered in known])
    boxes = shapely.bounds(figures).reshape(-1, 4)
    areas = shapely.area(figures)
    crossed = np.zeros(len(index), np.bool_)
    for i in np.flatnonzero(~shapely.is_valid(figures)):
        tangled = _tangled(figures[i])
        figures[i] = shapely.Polygon() if tangled else _mended(figures[i])
        enclosed = figures[i].area
        # An outline that only touches itself, such as one led into a hole and back, encloses
        # everything once. Of a figure of eight the signed areas of the halves cancel each other
        # out, and a loop that runs round twice counts twice.
        wrong = abs(enclosed - areas[i]) > FLAT * _squared_diagonals(boxes[i])
        crossed[i] = tangled or wrong
        areas[i] = enclosed
    areas = np.where(areas > FLAT * _squared_diagonals(boxes), areas, 0)
    return Measured(index, figures, boxes, areas, crossed)


def _squared_diagonals(boxes: Floats) -> Floats:
    """Of (..., 4) xyxy boxes."""
    return np.asarray(((boxes[..., 2:] - boxes[..., :2]) ** 2).sum(axis=-1))


def as_array(figures: Sequence[BaseGeometry]) -> Figures:
    """(N,) geometries; numpy is kept from looking into them."""
    array = np.empty(len(figures), object)
    array[:] = figures
    return array


def _tangled(outline: BaseGeometry) -> bool:
    """Whether an outline crosses itself so often that mending it would take too long."""
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


def _mended(invalid: BaseGeometry) -> BaseGeometry:
    """All that an invalid outline encloses; its other method takes minutes for a scribble."""
    try:
        return shapely.make_valid(invalid, method="structure", keep_collapsed=False)
    except shapely.GEOSException:
        return shapely.Polygon()


def common(first: Figures, second: Figures) -> Figures:
    """Intersections of valid figures, pair by pair; empty where GEOS gives up."""
    try:
        return np.asarray(shapely.intersection(first, second))
    except shapely.GEOSException:
        pairs = zip(first, second, strict=True)
        return as_array([_tried(a, b) for a, b in pairs])


def _tried(first: BaseGeometry, second: BaseGeometry) -> BaseGeometry:
    try:
        return shapely.intersection(first, second)
    except shapely.GEOSException:
        return shapely.Polygon()


def together(figures: Figures) -> BaseGeometry:
    """Union of valid figures; empty where GEOS gives up."""
    try:
        return shapely.union_all(figures)
    except shapely.GEOSException:
        return shapely.Polygon()


def less(figure: BaseGeometry, cut: BaseGeometry) -> BaseGeometry:
    """A figure without what another covers; unchanged where GEOS gives up."""
    try:
        return shapely.difference(figure, cut)
    except shapely.GEOSException:
        return figure
