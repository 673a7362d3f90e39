"""Labelme's JSON files, read into frozen dataclasses and written back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.files import InputError, read_json, write_json

LABELME_VERSION = "5.5.0"  # the oldest format version that holds every key written here
CIRCLE_CORNERS = 64  # the polygon's area is then 0.2 % below the circle's


@dataclass(frozen=True)
class Shape:
    """One figure; `points` are (x, y) in pixels, the pixel's corner at whole numbers."""

    label: str
    points: tuple[tuple[float, float], ...]
    shape_type: str = "polygon"
    group_id: int | None = None
    flags: dict[str, bool] = field(default_factory=dict)
    description: str | None = ""
    mask: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotation:
    """All shapes of one photo; `image_path` is as stored, relative to the JSON file's folder."""

    image_path: str
    height: int | None
    width: int | None
    shapes: tuple[Shape, ...]
    flags: dict[str, bool] = field(default_factory=dict)
    image_data: str | None = None
    version: str = LABELME_VERSION
    extra: dict[str, Any] = field(default_factory=dict)


class _ShapeKeys(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str = "polygon"
    group_id: int | None = None
    flags: dict[str, bool] | None = None
    description: str | None = ""
    mask: str | None = None


class _FileKeys(msgspec.Struct, rename="camel"):
    image_path: str
    shapes: list[dict[str, Any]]
    image_height: int | None = None
    image_width: int | None = None
    image_data: str | None = None
    flags: dict[str, bool] | None = None
    version: str = LABELME_VERSION


def read_annotation(path: Path) -> Annotation:
    """Read one Labelme file; InputError says file, place, what was expected and found."""
    data = read_json(path)
    try:
        keys = msgspec.convert(data, _FileKeys)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: is no Labelme file: {error}") from None
    shapes = tuple(_read_shape(raw, f"{path}: shapes[{i}]") for i, raw in enumerate(keys.shapes))
    return Annotation(
        image_path=keys.image_path,
        height=keys.image_height,
        width=keys.image_width,
        shapes=shapes,
        flags=keys.flags or {},
        image_data=keys.image_data,
        version=keys.version,
        extra=_other_keys(data, _FileKeys),
    )


def _read_shape(raw: dict[str, Any], where: str) -> Shape:
    try:
        keys = msgspec.convert(raw, _ShapeKeys)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None
    return Shape(
        label=keys.label,
        points=tuple(keys.points),
        shape_type=keys.shape_type,
        group_id=keys.group_id,
        flags=keys.flags or {},
        description=keys.description,
        mask=keys.mask,
        extra=_other_keys(raw, _ShapeKeys),
    )


def _other_keys(data: dict[str, Any], known: type[msgspec.Struct]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in known.__struct_encode_fields__}


def write_annotation(path: Path, annotation: Annotation) -> None:
    """Write one Labelme file in the order of keys that Labelme itself uses."""
    shapes = [
        {
            "label": s.label,
            "points": s.points,
            "group_id": s.group_id,
            "description": s.description,
            "shape_type": s.shape_type,
            "flags": s.flags,
            "mask": s.mask,
            **s.extra,
        }
        for s in annotation.shapes
    ]
    data = {
        "version": annotation.version,
        "flags": annotation.flags,
        "shapes": shapes,
        "imagePath": annotation.image_path,
        "imageData": annotation.image_data,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
        **annotation.extra,
    }
    write_json(path, data, indent=2)


def outline(shape: Shape) -> NDArray[np.float64]:
    """Return the shape's outline as a polygon, (N, 2) float64 x, y pixels.

    Raises InputError for shapes without an outline: wrong number of points, or another type.
    """
    points = np.asarray(shape.points, dtype=np.float64).reshape(-1, 2)
    wanted = {"polygon": "3 or more", "rectangle": "2", "circle": "2"}.get(shape.shape_type)
    if wanted is None:
        raise InputError(f"shape type '{shape.shape_type}' is not read yet; draw a polygon")
    if len(points) < 3 if shape.shape_type == "polygon" else len(points) != 2:
        raise InputError(f"{shape.shape_type} needs {wanted} points, got {len(points)}")
    if not np.isfinite(points).all():
        raise InputError("points must be finite numbers")
    if shape.shape_type == "rectangle":
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if shape.shape_type == "circle":
        centre, rim = points
        angles = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(centre + np.hypot(*(rim - centre)) * unit)
    return points
