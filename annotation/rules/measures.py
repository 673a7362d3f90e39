"""Figures of a photo's shapes as arrays: what all geometric rules start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.drawing import Drawing

Figures = NDArray[np.object_]  # (N,) shapely geometries
Floats = NDArray[np.float64]
FLAT = 1e-9  # of the squared diagonal: what rounding makes of an area that is none


@dataclass(frozen=True)
class Measured:
    """The N shapes whose figure is known and not empty.

    `index` (N,) of the shape; `figures` (N,) valid, where an outline crosses itself what it
    encloses an odd number of times, as it will be painted; `boxes` (N, 4) xyxy and `areas` (N,) in
    pixels, the area 0 where it is none but for rounding; `crossed` (N,) where an outline crosses
    itself, not only touches.
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
        figures[i] = _mended(figures[i])
        enclosed = figures[i].area
        # an outline that only touches itself, such as one led into a hole and back, encloses
        # everything once; in a figure of eight the two halves' signed areas cancel out
        crossed[i] = abs(enclosed - areas[i]) > FLAT * _squared_diagonals(boxes[i])
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


def _mended(invalid: BaseGeometry) -> BaseGeometry:
    """The areas of an invalid polygon, without the lines that mending leaves over."""
    try:
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(invalid)))
    except shapely.GEOSException:
        return shapely.Polygon()
    areas = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return shapely.MultiPolygon(list(areas))


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
    """Union of valid figures; their bare collection's hull is never needed, so empty on failure."""
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
