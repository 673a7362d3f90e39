"""One shape at a time: its outline and where it lies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from shapely.geometry import Polygon
from shapely.validation import explain_validity

from annotation.drawing import Drawing
from annotation.findings import Complaint
from annotation.geometry import LINES


def shape_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """What is wrong with each shape for itself."""
    yield from drawing.problems
    for index, shape in enumerate(drawing.shapes):
        if shape.shape_type in LINES and not drawing.config.line_width:
            message = f"a {shape.shape_type} has no area; it is left out"
            fix = "draw a polygon, or set line_width in dataset.yaml"
            yield Complaint("shape-ignored", index, message, fix)
    for index, _, figure in drawing.known():
        if drawing.size is not None:
            low, high = np.array(figure.bounds[:2]), np.array(figure.bounds[2:])
            yield from _frame(index, low, high, *drawing.size, drawing.limits.margin)
        if isinstance(figure, Polygon) and not figure.is_valid:
            message = f"the outline crosses itself: {explain_validity(figure)}"
            yield Complaint("self-crossing", index, message, "move the crossing vertices apart")


def _frame(
    index: int, low: np.ndarray, high: np.ndarray, height: int, width: int, margin: float
) -> Iterator[Complaint]:
    if (high <= 0).any() or low[0] >= width or low[1] >= height:
        message = f"lies outside the {width}x{height} picture"
        yield Complaint("outside-picture", index, message, "delete the shape, or draw it again")
    elif (low < -margin).any() or high[0] > width + margin or high[1] > height + margin:
        reach = f"x {low[0]:.0f}..{high[0]:.0f}, y {low[1]:.0f}..{high[1]:.0f}"
        message = f"reaches out of the {width}x{height} picture: {reach}; it is clipped"
        yield Complaint("out-of-picture", index, message, "move the vertices to the border")
