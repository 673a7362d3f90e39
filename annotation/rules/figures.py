"""The figures of an annotation's shapes as arrays, which all geometric rules use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.rules.crossings import CrossedOutline, resolve_crossings
from annotation.rules.resolved import ResolvedAnnotation

Figures = NDArray[np.object_]  # (N,) shapely geometries
Floats = NDArray[np.float64]
FLAT = 1e-9  # share of the squared diagonal; smaller areas are rounding errors


@dataclass(frozen=True)
class FigureArrays:
    """The N shapes whose figure is known and not empty.

    `index` (N,) is the index of the shape. `figures` (N,) are valid geometries: what conversion
    paints, which is less than an outline encloses if it crosses itself. `boxes` (N, 4) xyxy and
    `areas` (N,) are in pixels; areas within rounding errors of 0 are 0. `crossings` describe the
    outlines that cross themselves, not only touch themselves, by row.
    """

    index: NDArray[np.intp]
    figures: Figures
    boxes: Floats
    areas: Floats
    crossings: dict[int, CrossedOutline]

    @property
    def crossed(self) -> NDArray[np.bool_]:
        """Which outlines cross themselves, (N,)."""
        return np.isin(np.arange(len(self.index)), list(self.crossings))


def figure_arrays(resolved: ResolvedAnnotation) -> FigureArrays:
    """Compute areas and boxes of all shapes of a photo at once, and resolve crossing outlines."""
    known = list(resolved.with_area())
    index = np.array([index for index, _ in known], np.intp)
    figures = as_array([covered for _, covered in known])
    boxes = shapely.bounds(figures).reshape(-1, 4)
    areas = shapely.area(figures)
    crossings = {}
    for i in np.flatnonzero(~shapely.is_valid(figures)).tolist():
        one = resolve_crossings(figures[i])
        # An outline that only touches itself, such as one that leads into a hole and back, encloses
        # everything once and in one direction.
        if one.doubt > FLAT * _squared_diagonals(boxes[i]):
            crossings[i] = one
        figures[i], areas[i] = one.painted, one.painted.area
    areas = np.where(areas > FLAT * _squared_diagonals(boxes), areas, 0)
    return FigureArrays(index, figures, boxes, areas, crossings)


def _squared_diagonals(boxes: Floats) -> Floats:
    """Return the squared diagonals of (..., 4) xyxy boxes."""
    return np.asarray(((boxes[..., 2:] - boxes[..., :2]) ** 2).sum(axis=-1))


def as_array(figures: Sequence[BaseGeometry]) -> Figures:
    """Return geometries as (N,) objects; np.array would try to iterate over them."""
    array = np.empty(len(figures), object)
    array[:] = figures
    return array


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
