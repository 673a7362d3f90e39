"""One shape at a time: its area and where it lies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from annotation.findings import Complaint
from annotation.labelme.geometry import LINES
from annotation.rules.drawing import Drawing
from annotation.rules.measures import Measured, as_array, common, measure
from annotation.rules.outlines import outline_complaints

AGAIN = "delete the shape, or draw it again"


def shape_complaints(drawing: Drawing, *, errors_only: bool = False) -> Iterator[Complaint]:
    """What is wrong with each shape for itself; or only what can be an error, and more."""
    yield from drawing.problems
    yield from _empty_complaints(drawing)
    measured = measure(drawing)
    if not len(measured.index):
        return
    yield from _area_complaints(drawing, measured)
    yield from _frame_complaints(drawing, measured)
    if not errors_only or drawing.config.has_error("points-repeated", "spike"):
        sound = ~measured.crossed & (measured.areas >= drawing.limits.tiny_area)
        yield from outline_complaints(drawing, measured, sound)


def _empty_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """Shapes that cover nothing by their kind, and masks without pixels."""
    for index, (shape, figure) in enumerate(zip(drawing.shapes, drawing.figures, strict=True)):
        if figure is None or not figure.is_empty:
            continue
        if shape.shape_type in LINES and not drawing.config.line_width:
            message = f"a {shape.shape_type} has no area; it is left out"
            fix = "draw a polygon, or set line_width in dataset.yaml"
            yield Complaint("shape-ignored", index, message, fix)
        else:
            message = f"expected a {shape.shape_type} that covers something, got an empty one"
            yield Complaint("zero-area", index, message, AGAIN)


def _area_complaints(drawing: Drawing, measured: Measured) -> Iterator[Complaint]:
    """No area, hardly any, or one that nobody can tell: at most one complaint a shape."""
    least = drawing.limits.tiny_area
    for i in np.flatnonzero((measured.areas < least) | (measured.areas == 0) | measured.crossed):
        index, area = int(measured.index[i]), float(measured.areas[i])
        shape = drawing.shapes[index]
        if measured.crossed[i]:
            yield _crossing(drawing, index)
        elif area == 0:
            message = f"the {len(shape.points)} points of this {shape.shape_type} enclose no area"
            yield Complaint("zero-area", index, message, AGAIN)
        else:
            message = f"covers {area:.1f} square pixels, expected {least:g} or more"
            yield Complaint("tiny", index, message, "delete the shape if it was a slip")


def _crossing(drawing: Drawing, index: int) -> Complaint:
    reason = str(shapely.is_valid_reason(drawing.figures[index]))
    place = ", ".join(f"{float(word):.0f}" for word in reason.rpartition("[")[2][:-1].split()[:2])
    message = f"the outline crosses itself near x, y = {place}; the loops are cut out or lost"
    return Complaint("self-crossing", index, message, "move the crossing vertices apart")


def _frame_complaints(drawing: Drawing, measured: Measured) -> Iterator[Complaint]:
    """Where the shapes lie in the picture; those without area have their complaint already."""
    if drawing.size is None or min(drawing.size) <= 0:
        return
    height, width = drawing.size
    limits, boxes = drawing.limits, measured.boxes
    frame = np.array([0, 0, width, height])
    over = np.maximum((frame - boxes)[:, :2], 0), np.maximum((boxes - frame)[:, 2:], 0)
    beyond = np.maximum(*over).max(axis=1) > limits.margin
    most = limits.whole_share * width * height
    chosen = np.flatnonzero((beyond | (measured.areas >= most)) & (measured.areas > 0))
    if not len(chosen):
        return
    picture = as_array([shapely.box(0, 0, width, height)] * len(chosen))
    inside = shapely.area(common(measured.figures[chosen], picture))
    for i, area in zip(chosen.tolist(), inside.tolist(), strict=True):
        if area >= most:
            share = f"covers {area / width / height:.1%} of the {width}x{height} picture"
            message = f"{share}, expected less than {limits.whole_share:.0%}"
            fix = "draw the outline of the thing itself"
            yield Complaint("whole-picture", int(measured.index[i]), message, fix)
        else:
            yield _outside(measured, i, area, height, width)


def _outside(measured: Measured, i: int, area: float, height: int, width: int) -> Complaint:
    index, picture = int(measured.index[i]), f"the {width}x{height} picture"
    x0, y0, x1, y1 = measured.boxes[i]
    reach = f"x {x0:.0f}..{x1:.0f}, y {y0:.0f}..{y1:.0f}"
    share = 1 - area / measured.areas[i]
    if share > 1 - 1e-9:
        return Complaint("outside-picture", index, f"lies outside {picture}: {reach}", AGAIN)
    message = f"{share:.1%} of its area lies outside {picture} and is clipped: {reach}"
    return Complaint("out-of-picture", index, message, "move the vertices to the border")
