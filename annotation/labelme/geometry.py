"""What a shape covers: outlines of figures, pixels of masks, widened lines."""

from __future__ import annotations

import base64
import binascii
import io

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry.base import BaseGeometry

from annotation.labelme.annotation import Shape, UnreadableShape
from annotation.photos.files import without_pixel_limit
from base.errors import InputError

CIRCLE_CORNERS = 64  # the polygon's area is then 0.2 % below the circle's
MOST_MASK_PIXELS = 100_000_000
MOST_MASK_RUNS = 20_000  # united in a second; a drawn mask has a few in each row
# number of points that a figure has: those that Labelme writes, and a rectangle's four corners,
# which other programs write
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
}
LINES = frozenset({"line", "linestrip", "point", "points"})  # without an area of their own


class ShapeError(InputError):
    """A shape that covers nothing; `rule` is the finding that says so."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def check_points(shape: Shape) -> NDArray[np.float64]:
    """Points of a shape, (N, 2) x, y pixels; ShapeError where type, number or values are wrong."""
    if isinstance(shape, UnreadableShape):
        raise ShapeError("shape-unreadable", shape.reason)
    if shape.shape_type not in POINTS:
        message = f"shape type '{shape.shape_type}' is unknown; known: {', '.join(POINTS)}"
        raise ShapeError("shape-unreadable", message)
    least, most = POINTS[shape.shape_type]
    count = len(shape.points)
    wrong = shape.shape_type == "rectangle" and count == 3
    if count < least or (most is not None and count > most) or wrong:
        wanted = f"{least} or more" if most is None else str(least)
        plural = "point" if wanted == "1" else "points"
        raise ShapeError("points-few", f"{shape.shape_type} needs {wanted} {plural}, got {count}")
    points = np.array(shape.points, dtype=np.float64)
    if not np.abs(points).max() <= 1e9:  # nor is NaN
        raise ShapeError("points-not-finite", "points must be finite numbers of pixels")
    return points


def outline(shape: Shape) -> NDArray[np.float64]:
    """Corners of a polygon, rectangle, oriented rectangle or circle, (N, 2) float64 x, y pixels.

    Raises ShapeError where the shape is none of them or has the wrong points.
    """
    points = check_points(shape)
    if shape.shape_type in LINES or shape.shape_type == "mask":
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


def mask_pixels(shape: Shape) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Pixels of a mask shape, (h, w) bool, and x, y of their upper left corner.

    Raises ShapeError where the mask is missing, broken or absurdly large.
    """
    (x, y), *_ = check_points(shape).round().astype(int).tolist()
    if not shape.mask:
        raise ShapeError("shape-unreadable", "mask: expected a base64 PNG, got none")
    try:
        data = base64.b64decode(shape.mask, validate=True)
        with without_pixel_limit(), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > MOST_MASK_PIXELS:
                size = f"{image.width}x{image.height}"
                raise ShapeError("shape-unreadable", f"mask: {size} pixels are too many")
            pixels = np.asarray(image)
    except (ValueError, OSError, SyntaxError, binascii.Error):
        raise ShapeError("shape-unreadable", "mask: is no base64 PNG") from None
    flat = pixels if pixels.ndim == 2 else pixels.any(axis=2)
    return flat.astype(bool), (x, y)


def encode_mask_png(mask: NDArray[np.bool_]) -> str:
    """(h, w) bool as Labelme stores a mask: a base64 PNG."""
    _, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    return base64.b64encode(png.tobytes()).decode("ascii")


def figure(shape: Shape, *, line_width: float = 0) -> BaseGeometry:
    """What a shape covers, in pixels; it may be invalid where an outline crosses itself.

    Lines and points are widened to `line_width` pixels and are empty without one. Raises ShapeError
    as `check_points` does.
    """
    if shape.shape_type == "mask":
        return _mask_figure(*mask_pixels(shape))
    if shape.shape_type in LINES:
        return widened(shape, line_width)
    points = outline(shape)
    try:
        fast: BaseGeometry = shapely.polygons(points)  # type: ignore[assignment]
        return fast  # several times faster than the class makes it
    except (ValueError, shapely.GEOSException):  # fewer than four points with the first again
        return shapely.Polygon(points)


def widened(shape: Shape, line_width: float) -> BaseGeometry:
    """A line or points with a width: round ends and joints, as a pen of that width draws."""
    points = check_points(shape)
    if line_width <= 0:
        return shapely.Polygon()
    alone = shape.shape_type in ("point", "points")
    bare = shapely.MultiPoint(points) if alone else shapely.LineString(points)
    return bare.buffer(line_width / 2, quad_segs=8)


def _mask_figure(mask: NDArray[np.bool_], corner: tuple[int, int]) -> BaseGeometry:
    """Union of the mask's pixels as squares, row by row: exact, holes included.

    A mask of noise is taken in blocks of pixels that touch it, since its union would take minutes.
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
    """Row, first column and the column after the last of all runs of pixels in rows."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends
