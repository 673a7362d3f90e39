"""A small picture of a finding: the shape in red on the part of the photo around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.findings import Finding
from annotation.labelme.annotation import Annotation, Shape, read_annotation
from annotation.labelme.geometry import LINES, ShapeError, figure, outline
from annotation.photos.files import Size
from annotation.report.frames import Picture, Scene, View, around, open_scene, whole
from base.errors import InputError

Colour = tuple[int, int, int]  # RGB
Points = NDArray[np.float64]  # (N, 2) x, y
RED, BLUE, YELLOW, WHITE = (232, 28, 28), (40, 170, 255), (255, 214, 0), (255, 255, 255)
SMALL = 30  # pixels of the picture; smaller shapes get a ring around them
QUALITY = 82  # of the JPEG
_SUB = 3  # fractional bits of the coordinates that cv2 draws


@dataclass(frozen=True)
class PictureTask:
    """The findings on one file that are drawn on its photo."""

    annotation: Path | None
    photo: Path | None
    findings: tuple[Finding, ...]


def draw_findings(task: PictureTask) -> list[bytes | None]:
    """Return a JPEG for each finding, or None if no photo can be read; never raises an error."""
    try:
        annotation = None if task.annotation is None else read_annotation(task.annotation)
    except InputError:
        annotation = None
    try:
        with open_scene(task.photo, annotation) as scene:
            return [_jpeg(one) for one in _draw_all(scene, annotation, task.findings)]
    except Exception:  # Pillow raises almost any exception for a damaged file
        return [None] * len(task.findings)


def draw_annotation(
    annotation: Annotation | None, photo: Path | None, finding: Finding | None = None
) -> Picture:
    """Draw all shapes over the whole photo, or a finding as `draw_findings` does.

    Raises InputError if the photo, or its copy in the annotation, cannot be read.
    """
    try:
        with open_scene(photo, annotation) as scene:
            return next(_draw_all(scene, annotation, [finding]))
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{photo or 'imageData'}: cannot be read: {error}") from error


def _draw_all(
    scene: Scene, annotation: Annotation | None, findings: Sequence[Finding | None]
) -> Iterator[Picture]:
    marks = [_marks(annotation, finding) for finding in findings]
    views = [_view(scene, mark) for mark in marks]
    scene.load(views)
    for one in zip(marks, views, strict=True):
        yield _drawn(scene, annotation, *one)


@dataclass(frozen=True)
class Marks:
    """The shapes that a finding concerns: its `own`, and the `others` that it involves.

    `place` is a point in the photo, in its pixels.
    """

    own: Shape | None = None
    others: tuple[Shape, ...] = ()
    place: tuple[float, float] | None = None


def _marks(annotation: Annotation | None, finding: Finding | None) -> Marks:
    shapes = () if annotation is None else annotation.shapes
    if finding is None or finding.shape is None or finding.shape >= len(shapes):
        return Marks()
    others = sorted(set(finding.others) - {finding.shape})
    involved = tuple(shapes[i] for i in others if i < len(shapes))
    return Marks(shapes[finding.shape], involved, finding.place)


def _view(scene: Scene, marks: Marks) -> View:
    """Return a view of all marked shapes, or of the whole photo if there are none."""
    shapes = [] if marks.own is None else [marks.own, *marks.others]
    points = [ring for shape in shapes for ring in _rings(shape, scene.size)]
    return around(np.concatenate(points), scene.size) if points else whole(scene.size)


def _rings(shape: Shape, size: Size) -> list[Points]:
    """Return the outlines of a shape in pixels of the photo, even if it covers nothing."""
    try:
        if shape.shape_type == "mask":
            covered = figure(shape, size)
            polygons = getattr(covered, "geoms", [covered])
            rings = [ring for p in polygons for ring in (p.exterior, *p.interiors)]
            return [np.array(ring.coords) for ring in rings if len(ring.coords)]
        if shape.shape_type not in LINES:
            return [outline(shape)]
    except ShapeError:
        pass
    points = np.array(shape.points, np.float64).reshape(-1, 2)
    points = points[(np.abs(points) < 1e9).all(axis=1)]  # also removes NaN
    return [points] if len(points) else []


def _drawn(scene: Scene, annotation: Annotation | None, marks: Marks, view: View) -> Picture:
    picture = scene.cut(view)
    for shape in () if annotation is None else annotation.shapes:
        if shape not in (marks.own, *marks.others):
            colour, thick = (WHITE, 1) if marks.own else (BLUE, 2)
            _draw_shape(picture, view, shape, colour, thick=thick)
    for shape in marks.others:
        _draw_shape(picture, view, shape, BLUE, thick=2)
    if marks.own is not None:
        _fill(picture, view, marks.own)
        _draw_shape(picture, view, marks.own, RED, thick=2)
        _point_at(picture, view, marks.own)
        if marks.place is not None:
            place = view.to_picture(np.round([marks.place]))  # as the message gives it
            _ring(picture, place[0], 12, YELLOW)
    if view.share < 0.2:
        _inset(picture, scene, view)
    return picture


def _fixed(points: Points) -> NDArray[np.int32]:
    """Convert points to the fixed-point numbers of cv2; limit those far outside the picture."""
    return np.round(np.clip(points, -4000, 4000) * (1 << _SUB)).astype(np.int32)


def _draw_shape(picture: Picture, view: View, shape: Shape, colour: Colour, *, thick: int) -> None:
    """Draw an outline: thick ones with a light edge, red ones with their vertices."""
    closed = shape.shape_type not in LINES
    for ring in _rings(shape, view.photo):
        points = view.to_picture(ring)
        fixed = [_fixed(points)]
        if thick > 1:
            cv2.polylines(picture, fixed, closed, WHITE, thick + 2, cv2.LINE_AA, _SUB)
        cv2.polylines(picture, fixed, closed, colour, thick, cv2.LINE_AA, _SUB)
        if colour == RED and len(points) <= 40:
            for point in fixed[0].tolist():
                cv2.circle(picture, point, 3 << _SUB, colour, -1, cv2.LINE_AA, _SUB)


def _fill(picture: Picture, view: View, shape: Shape) -> None:
    """Tint the area of a shape red."""
    if shape.shape_type in LINES:
        return
    tint = picture.copy()
    rings = [_fixed(view.to_picture(ring)) for ring in _rings(shape, view.photo)]
    cv2.fillPoly(tint, rings, RED, cv2.LINE_AA, _SUB)
    picture[:] = cv2.addWeighted(tint, 0.22, picture, 0.78, 0)


def _point_at(picture: Picture, view: View, shape: Shape) -> None:
    """Draw a ring around a shape that is hard to see, or an arrow to one outside the picture."""
    rings = _rings(shape, view.photo)
    if not rings:
        return
    points = view.to_picture(np.concatenate(rings))
    low, high = points.min(axis=0), points.max(axis=0)
    centre, (height, width) = (low + high) / 2, picture.shape[:2]
    if (high < 0).any() or (low > (width, height)).any():
        tip = np.clip(centre, 8, (width - 8, height - 8))
        back = np.array([width, height]) / 2 - tip
        tail = tip + back / max(float(np.hypot(*back)), 1) * 60
        for colour, thick in ((WHITE, 7), (RED, 4)):
            start, end = (np.round(one).astype(int).tolist() for one in (tail, tip))
            cv2.arrowedLine(picture, start, end, colour, thick, cv2.LINE_AA, tipLength=0.4)
    elif (high - low).max() < SMALL:
        _ring(picture, centre, 26, RED)


def _ring(picture: Picture, centre: Points, radius: int, colour: Colour) -> None:
    place = _fixed(centre).tolist()
    for ink, thick in ((WHITE if colour == RED else (0, 0, 0), 5), (colour, 2)):
        cv2.circle(picture, place, radius << _SUB, ink, thick, cv2.LINE_AA, _SUB)


def _inset(picture: Picture, scene: Scene, view: View) -> None:
    """Draw the whole photo into a corner, with a frame around the part that is shown."""
    height, width = scene.size
    scale = min(picture.shape[1] / width, picture.shape[0] / height) * 0.24
    small = cv2.resize(
        scene.pixels,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA,
    )
    x0, y0, x1, y1 = (round(edge * scale) for edge in (view.x0, view.y0, view.x1, view.y1))
    cv2.rectangle(small, (x0, y0), (max(x1, x0 + 3), max(y1, y0 + 3)), RED, 2)
    framed = cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=WHITE)
    picture[-framed.shape[0] :, -framed.shape[1] :] = framed


def _jpeg(picture: Picture) -> bytes:
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()
