"""Silhouettes to Labelme shapes, as somebody would draw them with a mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from annotation.labelme.annotation import Shape
from samples.yard.photo import SAMPLING, Silhouette
from samples.yard.scene import HEIGHT, WIDTH

Mask = NDArray[np.uint8]
Outline = NDArray[np.float64]  # (N, 2) x, y pixels

SLACK = 0.7  # pixels between an outline and the polygon drawn for it
JITTER, MOST_JITTER = 0.6, 2.0  # pixels by which the mouse misses a vertex
SMALL_PART = 25.0  # square pixels; nobody draws less
TOUCHED = 0.02  # share of a thing that may be hidden before somebody minds
MOSTLY = 0.65  # share of a thing that is seen where somebody draws it whole
SHARPEST, NEAREST = 8.0, 0.5  # degrees at a vertex and pixels between two, which nobody draws
ROUNDISH, BOXISH = 0.93, 0.9  # overlap at which a circle or a rectangle is good enough


def draw_shapes(things: Sequence[Silhouette], rng: np.random.Generator) -> tuple[Shape, ...]:
    """Shapes of things given from back to front; painted in turn they give what is seen.

    What is hidden in part is drawn as its visible parts, joined by a group id where there are
    several, or whole, to be painted over by what stands before it. What shows too little of
    itself is not drawn.
    """
    filled = [_filled(thing.mask) for thing in things]
    shapes: list[Shape] = []
    for i, thing in enumerate(things):
        hidden = np.zeros_like(thing.mask)
        for other in filled[i + 1 :]:
            hidden |= other
        visible = filled[i] & ~hidden
        covered = visible.sum() < (1 - TOUCHED) * filled[i].sum()
        parts = _contours(visible)
        if not parts:
            continue  # nobody sees it
        # one thing before another of its kind is drawn beside it, or they would look like one
        twin = any(
            other.label == thing.label and (mask & filled[i]).any()
            for other, mask in zip(things[i + 1 :], filled[i + 1 :], strict=True)
        )
        mostly = visible.sum() > MOSTLY * filled[i].sum() and not twin
        if not covered or (len(parts) == 1 and mostly and rng.random() < 0.5):
            parts = _contours(filled[i])
        easy = _easy_shape(thing.label, parts[0], rng) if len(parts) == 1 and not covered else None
        drawn = [easy] if easy else _polygons(thing.label, parts, shapes, rng)
        shapes += (
            [replace(shape, flags={"occluded": True}) for shape in drawn] if covered else drawn
        )
    return tuple(shapes)


def _filled(mask: Mask) -> Mask:
    """Close what lies inside the outer outline: nobody draws the gaps of a ladder."""
    whole = np.zeros_like(mask)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(whole, contours, -1, 1, cv2.FILLED)
    return whole


def _contours(mask: Mask) -> list[NDArray[np.int32]]:
    """Outer outlines of all parts worth drawing, the largest first."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = sorted(contours, key=cv2.contourArea, reverse=True)
    return [c for c in parts if cv2.contourArea(c) > SMALL_PART * SAMPLING**2]


def _polygons(
    label: str, parts: list[NDArray[np.int32]], before: list[Shape], rng: np.random.Generator
) -> list[Shape]:
    group = None
    if len(parts) > 1:
        group = 1 + max((shape.group_id or 0 for shape in before), default=0)
    return [Shape(label, _as_points(_traced(part, rng)), group_id=group) for part in parts]


def _traced(contour: NDArray[np.int32], rng: np.random.Generator) -> Outline:
    """Simplify an outline and miss its vertices a little, but never so that it crosses itself."""
    for attempt in range(6):
        slack = SLACK * SAMPLING * 0.7**attempt
        corners = cv2.approxPolyDP(contour, slack, True)[:, 0].astype(np.float64)
        spread = JITTER * 0.6**attempt
        missed = rng.normal(0, spread, corners.shape).clip(-MOST_JITTER, MOST_JITTER)
        points = _in_frame((corners + 0.5) / SAMPLING + missed)
        polygon = Polygon(points) if len(points) > 2 else None
        if polygon and polygon.is_valid and polygon.area > 1 and _is_drawable(points):
            return points
    hull = cv2.convexHull(contour)[:, 0].astype(np.float64)
    return _in_frame((hull + 0.5) / SAMPLING)


def _is_drawable(points: Outline) -> bool:
    """Whether no two vertices lie on each other and none is the point of a needle."""
    edges = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(*edges.T)
    if lengths.min() < NEAREST:
        return False
    back = -np.roll(edges, 1, axis=0)
    cosines = (edges * back).sum(axis=1) / (lengths * np.roll(lengths, 1))
    return bool(cosines.max() < np.cos(np.radians(SHARPEST)))


def _in_frame(points: Outline) -> Outline:
    """Clip to the picture, at the precision that is written."""
    return np.clip(points, 0, (WIDTH, HEIGHT)).round(2)


def _easy_shape(label: str, contour: NDArray[np.int32], rng: np.random.Generator) -> Shape | None:
    """A circle or rectangle where it fits nearly as well as a polygon."""
    area = cv2.contourArea(contour)
    (x, y), radius = cv2.minEnclosingCircle(contour)
    left, top, width, height = cv2.boundingRect(contour)
    if area > ROUNDISH * np.pi * radius**2 and rng.random() < 0.7:
        rim = (x + 0.5 + radius * 0.98, y + 0.5)
        points = np.array([(x + 0.5, y + 0.5), rim]) / SAMPLING
        inside = radius < min(x, y, WIDTH * SAMPLING - x, HEIGHT * SAMPLING - y)
        return Shape(label, _as_points(points.round(2)), "circle") if inside else None
    if area > BOXISH * width * height and rng.random() < 0.6:
        ends = np.array([(left, top), (left + width, top + height)]) / SAMPLING
        points = _in_frame(ends + rng.normal(0, JITTER, (2, 2)).clip(-1, 1))
        return Shape(label, _as_points(points), "rectangle")
    return None


def _as_points(points: Outline) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points.tolist())
