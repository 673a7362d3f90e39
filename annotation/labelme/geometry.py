"""The geometry of shapes: outlines, pixels of masks, widened lines."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from annotation.labelme.annotation import Shape, UnreadableShape
from annotation.labelme.masks import decode_mask_png
from annotation.photos.files import Size
from base.counting import counted
from base.errors import InputError

CIRCLE_CORNERS = 64  # the polygon's area is then 0.2 % below the circle's
MOST_MASK_RUNS = 20_000  # their union takes a second; a drawn mask has a few in each row
# the fewest and the most points of a shape; other programs write all four corners of a rectangle
POINTS = {
    "polygon": (3, None),
    "rectangle": (2, 4),
    "oriented_rectangle": (4, 4),
    "circle": (2, 2),
    "mask": (1, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
    "cuboid": (1, None),
}
UNPAINTED = frozenset({"cuboid"})  # of X-AnyLabeling: two faces of a box, whose region is not known
LINES = frozenset({"line", "linestrip", "point", "points"})  # without area


class ShapeError(InputError):
    """A shape whose geometry cannot be computed; `rule` is the rule of its finding."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def check_points(shape: Shape) -> NDArray[np.float64]:
    """Return the points of a shape, (N, 2) float64 x, y in pixels.

    Raises ShapeError if the type of the shape, or the number or values of the points, is wrong.
    """
    if isinstance(shape, UnreadableShape):
        raise ShapeError("shape-unreadable", shape.reason)
    if shape.shape_type not in POINTS:
        known = ", ".join(name for name in POINTS if name not in UNPAINTED)
        message = f"shape type '{shape.shape_type}' is unknown; known: {known}"
        raise ShapeError("shape-unreadable", message)
    least, most = POINTS[shape.shape_type]
    count = len(shape.points)
    wrong = shape.shape_type == "rectangle" and count == 3
    if count < least or (most is not None and count > most) or wrong:
        wanted = ("at least " if most is None else "") + counted(least, "point")
        raise ShapeError("points-few", f"{shape.shape_type} needs {wanted}, found {count}")
    points = np.array(shape.points, dtype=np.float64)
    if not np.abs(points).max() <= 1e9:  # also refuses NaN
        raise ShapeError("points-not-finite", "points must be finite numbers of pixels")
    return points


def outline(shape: Shape) -> NDArray[np.float64]:
    """Return the corners of a polygon, rectangle, oriented rectangle or circle.

    They are (N, 2) float64 x, y in pixels. Raises ShapeError for other shapes and wrong points.
    """
    points = check_points(shape)
    if shape.shape_type in LINES | UNPAINTED or shape.shape_type == "mask":
        raise ShapeError("shape-unreadable", f"a {shape.shape_type} has no outline")
    if shape.shape_type == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if shape.shape_type == "circle":
        centre, rim = points
        angles = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(centre + np.hypot(*(rim - centre)) * unit)
    return points


def mask_pixels(
    shape: Shape, picture: Size | None = None
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the pixels of a mask shape, (h, w) bool, and the x, y of their upper left corner.

    `picture` is the height and width of the photo, or None if it is not known. Raises ShapeError if
    the mask is missing, damaged, ambiguous, or too large for the photo.
    """
    (x, y), *_ = check_points(shape).round().astype(int).tolist()
    if not shape.mask:
        raise ShapeError("shape-unreadable", "mask: expected a base64 PNG, found none")
    try:
        return decode_mask_png(shape.mask, picture), (x, y)
    except InputError as error:
        raise ShapeError("shape-unreadable", str(error)) from None


def figure(shape: Shape, picture: Size | None = None, *, line_width: float = 0) -> BaseGeometry:
    """Return the region that a shape covers, in pixels; invalid if its outline crosses itself.

    `picture` is the height and width of the photo, or None if it is not known; masks are limited by
    it. Lines and points are widened to `line_width` pixels, and are empty if it is 0. Shapes of the
    types UNPAINTED are always empty. Raises ShapeError as `check_points` and `mask_pixels` do.
    """
    if shape.shape_type == "mask":
        return mask_figure(*mask_pixels(shape, picture))
    if shape.shape_type in LINES:
        return widened(shape, line_width)
    if shape.shape_type in UNPAINTED:
        check_points(shape)
        return shapely.Polygon()
    points = outline(shape)
    try:
        fast: BaseGeometry = shapely.polygons(points)  # type: ignore[assignment]
        return fast  # several times faster than shapely.Polygon
    except (ValueError, shapely.GEOSException):  # too few points for a ring
        return shapely.Polygon(points)


def widened(shape: Shape, line_width: float) -> BaseGeometry:
    """Return a line or points widened to `line_width` pixels, with round ends and joins."""
    points = check_points(shape)
    if line_width <= 0:
        return shapely.Polygon()
    separate = shape.shape_type in ("point", "points")
    bare = shapely.MultiPoint(points) if separate else shapely.LineString(points)
    return bare.buffer(line_width / 2, quad_segs=8)


def mask_figure(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> BaseGeometry:
    """Return the exact union of the pixels of a mask as squares, including holes.

    `corner` is the x, y of its first pixel.

    The union of a noisy mask would take minutes, so its pixels are merged into larger blocks.
    """
    side = 1
    rows, starts, ends = _runs(mask)
    while len(rows) > MOST_MASK_RUNS:
        side *= 2
        odd = [(0, length % 2) for length in mask.shape]
        pairs = np.pad(mask, odd)
        mask = pairs[::2, ::2] | pairs[1::2, ::2] | pairs[::2, 1::2] | pairs[1::2, 1::2]
        rows, starts, ends = _runs(mask)
    (x, y), top = corner, rows * side
    boxes = shapely.box(starts * side + x, top + y, ends * side + x, top + side + y)
    return shapely.union_all(boxes)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return row, first column and end column (exclusive) of all horizontal runs of pixels."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends
