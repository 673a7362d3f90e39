"""Rules about single shapes: their area and their position in the photo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from annotation.findings import Complaint, Severity
from annotation.labelme.geometry import LINES, UNPAINTED
from annotation.labelme.masks import mask_size
from annotation.rules.crossings import CrossedOutline
from annotation.rules.figures import FigureArrays, as_array, figure_arrays, intersections
from annotation.rules.outlines import outline_complaints
from annotation.rules.resolved import ResolvedAnnotation
from base.counting import counted

MASK_MARGIN = 2  # pixels; writers differ in whether the second point is the last pixel
AGAIN = "delete the shape, or draw it again"


def shape_complaints(
    resolved: ResolvedAnnotation, *, errors_only: bool = False
) -> Iterator[Complaint]:
    """Check each shape on its own.

    With `errors_only`, rules that report no errors in this set may be skipped.
    """
    yield from resolved.problems
    yield from _empty_complaints(resolved)
    yield from _mask_complaints(resolved)
    arrays = figure_arrays(resolved)
    if not len(arrays.index):
        return
    yield from _area_complaints(resolved, arrays)
    yield from _frame_complaints(resolved, arrays)
    if not errors_only or resolved.config.has_error("points-repeated", "spike"):
        sound = ~arrays.crossed & (arrays.areas >= resolved.limits.tiny_area)
        yield from outline_complaints(resolved, arrays, sound)


def _empty_complaints(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report shapes of types without an area, and masks without pixels."""
    for index, (shape, figure) in enumerate(zip(resolved.shapes, resolved.figures, strict=True)):
        if figure is None or not figure.is_empty:
            continue
        if shape.shape_type in UNPAINTED:
            message = f"a {shape.shape_type} has no outline that can be painted and is left out"
            yield Complaint(
                "shape-ignored",
                index,
                message,
                "delete it, or replace it with a polygon; Labelme cannot open it",
            )
        elif shape.shape_type in LINES and not resolved.config.line_width:
            message = f"a {shape.shape_type} has no area and is left out"
            fix = "draw a polygon, or set line_width in dataset.yaml"
            yield Complaint("shape-ignored", index, message, fix)
        else:
            message = f"expected a {shape.shape_type} that covers something, found an empty one"
            yield Complaint("zero-area", index, message, AGAIN)


def _mask_complaints(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report masks whose size is not that of the box between their points.

    Labelme shows a mask at its first point. A mask as large as the photo was probably meant to
    start at the photo's corner.
    """
    for index, (shape, figure) in enumerate(zip(resolved.shapes, resolved.figures, strict=True)):
        if figure is None or shape.shape_type != "mask" or len(shape.points) != 2:
            continue
        (x0, y0), (x1, y1) = shape.points
        height, width = mask_size(shape.mask or "")
        across, down = abs(x1 - x0), abs(y1 - y0)
        if abs(width - across) <= MASK_MARGIN and abs(height - down) <= MASK_MARGIN:
            continue
        whole = (height, width) == resolved.size
        message = (
            f"the mask has {width}x{height} pixels{', like the photo' if whole else ''}, but its"
            f" points span {across + 1:.0f}x{down + 1:.0f}; Labelme shows it from x, y ="
            f" {x0:.0f}, {y0:.0f}"
        )
        fix = "move the first point to where the mask begins, or crop the mask to the box"
        yield Complaint("mask-box", index, message, fix, severity=None if whole else "warning")


def _area_complaints(resolved: ResolvedAnnotation, arrays: FigureArrays) -> Iterator[Complaint]:
    """Report shapes with no area, a tiny area or a crossing: each shape at most once."""
    least = resolved.limits.tiny_area
    for i in np.flatnonzero((arrays.areas < least) | (arrays.areas == 0) | arrays.crossed):
        index, area = int(arrays.index[i]), float(arrays.areas[i])
        shape = resolved.shapes[index]
        if crossing := arrays.crossings.get(int(i)):
            yield _crossing(resolved, index, crossing)
        elif area == 0:
            message = f"the points of this {shape.shape_type} enclose no area"
            yield Complaint("zero-area", index, message, AGAIN)
        else:
            message = f"covers {area:.1f} square pixels, expected {least:g} or more"
            yield Complaint("tiny", index, message, "delete the shape if it was drawn by accident")


def _crossing(resolved: ResolvedAnnotation, index: int, crossing: CrossedOutline) -> Complaint:
    """Report an outline that crosses itself; shapely's reason ends with the place, as `[12 7]`."""
    reason = str(shapely.is_valid_reason(resolved.figures[index]))
    x, y = (float(word) for word in reason.rpartition("[")[2][:-1].split()[:2])
    if np.isinf(crossing.doubt):
        what = "and in many other places"
    elif crossing.lost < crossing.doubt:
        loop = counted(round(crossing.doubt), "square pixel")
        what = f"and a loop of {loop} runs in the other direction"
    else:
        lost = counted(round(crossing.lost), "square pixel")
        what = f"and loses {lost} that it encloses twice"
    message = f"the outline crosses itself near x, y = {x:.0f}, {y:.0f}, {what}"
    slight = crossing.doubt < resolved.limits.crossing_area
    severity: Severity | None = "note" if slight else None
    fix = "move the crossing vertices apart"
    return Complaint("self-crossing", index, message, fix, place=(x, y), severity=severity)


def _frame_complaints(resolved: ResolvedAnnotation, arrays: FigureArrays) -> Iterator[Complaint]:
    """Report shapes outside the photo or covering all of it.

    Shapes without an area are reported by another rule.
    """
    if resolved.size is None or min(resolved.size) <= 0:
        return
    height, width = resolved.size
    limits, boxes = resolved.limits, arrays.boxes
    frame = np.array([0, 0, width, height])
    over = np.maximum((frame - boxes)[:, :2], 0), np.maximum((boxes - frame)[:, 2:], 0)
    beyond = np.maximum(*over).max(axis=1) > limits.margin
    most = limits.whole_share * width * height
    chosen = np.flatnonzero((beyond | (arrays.areas >= most)) & (arrays.areas > 0))
    if not len(chosen):
        return
    photo = as_array([shapely.box(0, 0, width, height)] * len(chosen))
    inside = shapely.area(intersections(arrays.figures[chosen], photo))
    for i, area in zip(chosen.tolist(), inside.tolist(), strict=True):
        if area >= most:
            share = f"covers {area / width / height:.1%} of the {width}x{height} photo"
            message = f"{share}, expected less than {limits.whole_share:.0%}"
            fix = "draw the outline of the thing itself"
            yield Complaint("whole-picture", int(arrays.index[i]), message, fix)
        else:
            yield _outside(arrays, i, area, height, width)


def _outside(arrays: FigureArrays, i: int, area: float, height: int, width: int) -> Complaint:
    index, photo = int(arrays.index[i]), f"the {width}x{height} photo"
    x0, y0, x1, y1 = arrays.boxes[i]
    reach = f"x {x0:.0f}..{x1:.0f}, y {y0:.0f}..{y1:.0f}"
    share = 1 - area / arrays.areas[i]
    if share > 1 - 1e-9:
        return Complaint("outside-picture", index, f"lies outside {photo}: {reach}", AGAIN)
    message = f"{share:.1%} of its area lies outside {photo} and is clipped: {reach}"
    return Complaint("out-of-picture", index, message, "move the vertices to the border")
