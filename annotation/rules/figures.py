"""The figures of an annotation's shapes as arrays, which all geometric rules use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.rules.resolved import ResolvedAnnotation

Figures = NDArray[np.object_]  # (N,) shapely geometries
Floats = NDArray[np.float64]
FLAT = 1e-9  # share of the squared diagonal; smaller areas are rounding errors
MOST_CROSSINGS = 200  # of one outline; people draw fewer, and repairing takes quadratic time
BLOCK = 64  # edges whose crossings are counted at once


@dataclass(frozen=True)
class FigureArrays:
    """The N shapes whose figure is known and not empty.

    `index` (N,) is the index of the shape. `figures` (N,) are valid geometries. If an outline
    crosses itself, its figure is everything that it encloses, or empty if there are too many
    crossings. `boxes` (N, 4) xyxy and `areas` (N,) are in pixels; areas within rounding errors of 0
    are 0. `crossed` (N,) is True for outlines that cross themselves, not only touch themselves.
    """

    index: NDArray[np.intp]
    figures: Figures
    boxes: Floats
    areas: Floats
    crossed: NDArray[np.bool_]


def figure_arrays(resolved: ResolvedAnnotation) -> FigureArrays:
    """Compute areas and boxes of all shapes of a photo at once, and repair invalid figures."""
    known = list(resolved.with_area())
    index = np.array([index for index, _ in known], np.intp)
    figures = as_array([covered for _, covered in known])
    boxes = shapely.bounds(figures).reshape(-1, 4)
    areas = shapely.area(figures)
    crossed = np.zeros(len(index), np.bool_)
    for i in np.flatnonzero(~shapely.is_valid(figures)):
        tangled = _is_tangled(figures[i])
        figures[i] = shapely.Polygon() if tangled else _repaired(figures[i])
        enclosed = figures[i].area
        # An outline that only touches itself, such as one that leads into a hole and back, encloses
        # everything once. In a figure of eight, the signed areas of the halves cancel out, and the
        # area of a loop that is drawn twice counts twice.
        wrong = abs(enclosed - areas[i]) > FLAT * _squared_diagonals(boxes[i])
        crossed[i] = tangled or wrong
        areas[i] = enclosed
    areas = np.where(areas > FLAT * _squared_diagonals(boxes), areas, 0)
    return FigureArrays(index, figures, boxes, areas, crossed)


def _squared_diagonals(boxes: Floats) -> Floats:
    """Return the squared diagonals of (..., 4) xyxy boxes."""
    return np.asarray(((boxes[..., 2:] - boxes[..., :2]) ** 2).sum(axis=-1))


def as_array(figures: Sequence[BaseGeometry]) -> Figures:
    """Return geometries as (N,) objects; np.array would try to iterate over them."""
    array = np.empty(len(figures), object)
    array[:] = figures
    return array


def _is_tangled(outline: BaseGeometry) -> bool:
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


def _repaired(invalid: BaseGeometry) -> BaseGeometry:
    """Return everything that an invalid outline encloses.

    The default method of shapely takes minutes for a scribble.
    """
    try:
        return shapely.make_valid(invalid, method="structure", keep_collapsed=False)
    except shapely.GEOSException:
        return shapely.Polygon()


def intersections(first: Figures, second: Figures) -> Figures:
    """Return the intersections of valid figures, pair by pair; empty where GEOS fails."""
    try:
        return np.asarray(shapely.intersection(first, second))
    except shapely.GEOSException:
        pairs = zip(first, second, strict=True)
        return as_array([_intersection(a, b) for a, b in pairs])


def _intersection(first: BaseGeometry, second: BaseGeometry) -> BaseGeometry:
    try:
        return shapely.intersection(first, second)
    except shapely.GEOSException:
        return shapely.Polygon()


def union(figures: Figures) -> BaseGeometry:
    """Return the union of valid figures; empty if GEOS fails."""
    try:
        return shapely.union_all(figures)
    except shapely.GEOSException:
        return shapely.Polygon()


def difference(figure: BaseGeometry, cut: BaseGeometry) -> BaseGeometry:
    """Return a figure without the area of another; unchanged if GEOS fails."""
    try:
        return shapely.difference(figure, cut)
    except shapely.GEOSException:
        return figure
