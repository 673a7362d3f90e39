"""From silhouettes to Labelme shapes, as a person would draw them with a mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from annotation.labelme.annotation import Shape
from samples.yard.photo import SAMPLING, Silhouette
from samples.yard.setting import HEIGHT, WIDTH

Mask = NDArray[np.uint8]
Outline = NDArray[np.float64]  # (N, 2) x, y pixels

TOLERANCE = 0.7  # pixels between an outline and the polygon drawn for it
JITTER, MAX_JITTER = 0.6, 2.0  # standard deviation and maximum of a vertex's offset, in pixels
MIN_AREA = 25.0  # square pixels; smaller parts are not drawn
NEGLIGIBLE = 0.02  # hidden fraction of a thing up to which it counts as fully visible
MOSTLY_VISIBLE = 0.65  # visible fraction of a thing above which it may be drawn whole
MIN_ANGLE, MIN_EDGE = 8.0, 0.5  # degrees at a vertex, pixels between two vertices
CIRCLE_FIT, RECTANGLE_FIT = 0.93, 0.9  # minimum fraction of a circle or rectangle that is filled


def draw_shapes(things: Sequence[Silhouette], rng: np.random.Generator) -> tuple[Shape, ...]:
    """Draw things, given from back to front, so that painting the shapes in order is correct.

    A partly hidden thing is drawn as its visible parts, with a group id if there are several, or
    whole, so that the things in front of it are painted over it. Things that are hardly visible are
    left out.
    """
    filled = [_filled(thing.mask) for thing in things]
    shapes: list[Shape] = []
    for i, thing in enumerate(things):
        hidden = np.zeros_like(thing.mask)
        for other in filled[i + 1 :]:
            hidden |= other
        visible = filled[i] & ~hidden
        covered = visible.sum() < (1 - NEGLIGIBLE) * filled[i].sum()
        parts = _contours(visible)
        if not parts:
            continue
        # behind another thing with the same label, only visible parts are drawn: drawn whole, both
        # would look like one thing
        behind_same_label = any(
            other.label == thing.label and (mask & filled[i]).any()
            for other, mask in zip(things[i + 1 :], filled[i + 1 :], strict=True)
        )
        mostly = visible.sum() > MOSTLY_VISIBLE * filled[i].sum() and not behind_same_label
        if not covered or (len(parts) == 1 and mostly and rng.random() < 0.5):
            parts = _contours(filled[i])
        simple = (
            _simple_shape(thing.label, parts[0], rng) if len(parts) == 1 and not covered else None
        )
        drawn = [simple] if simple else _polygons(thing.label, parts, shapes, rng)
        shapes += (
            [replace(shape, flags={"occluded": True}) for shape in drawn] if covered else drawn
        )
    return tuple(shapes)


def _filled(mask: Mask) -> Mask:
    """Fill holes, as a person who draws the outline of a ladder would."""
    whole = np.zeros_like(mask)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(whole, contours, -1, 1, cv2.FILLED)
    return whole


def _contours(mask: Mask) -> list[NDArray[np.int32]]:
    """Return the outlines of all parts that are large enough to be drawn, the largest first."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = sorted(contours, key=cv2.contourArea, reverse=True)
    return [c for c in parts if cv2.contourArea(c) > MIN_AREA * SAMPLING**2]


def _polygons(
    label: str, parts: list[NDArray[np.int32]], previous: list[Shape], rng: np.random.Generator
) -> list[Shape]:
    group = None
    if len(parts) > 1:
        group = 1 + max((shape.group_id or 0 for shape in previous), default=0)
    return [Shape(label, _as_points(_traced(part, rng)), group_id=group) for part in parts]


def _traced(contour: NDArray[np.int32], rng: np.random.Generator) -> Outline:
    """Simplify an outline and move its vertices a little, without making it cross itself."""
    for attempt in range(6):
        tolerance = TOLERANCE * SAMPLING * 0.7**attempt
        corners = cv2.approxPolyDP(contour, tolerance, True)[:, 0].astype(np.float64)
        deviation = JITTER * 0.6**attempt
        jitter = rng.normal(0, deviation, corners.shape).clip(-MAX_JITTER, MAX_JITTER)
        points = _in_photo((corners + 0.5) / SAMPLING + jitter)
        polygon = Polygon(points) if len(points) > 2 else None
        if polygon and polygon.is_valid and polygon.area > 1 and _is_drawable(points):
            return points
    hull = cv2.convexHull(contour)[:, 0].astype(np.float64)
    return _in_photo((hull + 0.5) / SAMPLING)


def _is_drawable(points: Outline) -> bool:
    """Return whether all edges are long enough and no angle is too sharp."""
    edges = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(*edges.T)
    if lengths.min() < MIN_EDGE:
        return False
    back = -np.roll(edges, 1, axis=0)
    cosines = (edges * back).sum(axis=1) / (lengths * np.roll(lengths, 1))
    return bool(cosines.max() < np.cos(np.radians(MIN_ANGLE)))


def _in_photo(points: Outline) -> Outline:
    """Clip points to the photo and round them to the precision of the file."""
    return np.clip(points, 0, (WIDTH, HEIGHT)).round(2)


def _simple_shape(label: str, contour: NDArray[np.int32], rng: np.random.Generator) -> Shape | None:
    """Return a circle or a rectangle if it fits nearly as well as a polygon."""
    area = cv2.contourArea(contour)
    (x, y), radius = cv2.minEnclosingCircle(contour)
    left, top, width, height = cv2.boundingRect(contour)
    if area > CIRCLE_FIT * np.pi * radius**2 and rng.random() < 0.7:
        rim = (x + 0.5 + radius * 0.98, y + 0.5)
        points = np.array([(x + 0.5, y + 0.5), rim]) / SAMPLING
        inside = radius < min(x, y, WIDTH * SAMPLING - x, HEIGHT * SAMPLING - y)
        return Shape(label, _as_points(points.round(2)), "circle") if inside else None
    if area > RECTANGLE_FIT * width * height and rng.random() < 0.6:
        ends = np.array([(left, top), (left + width, top + height)]) / SAMPLING
        points = _in_photo(ends + rng.normal(0, JITTER, (2, 2)).clip(-1, 1))
        return Shape(label, _as_points(points), "rectangle")
    return None


def _as_points(points: Outline) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points.tolist())
