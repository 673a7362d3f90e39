"""Labelme's JSON files, read into frozen dataclasses and written back.

Reads the files of Labelme 3 to 7, and those of X-AnyLabeling. Unknown keys and shapes that cannot
be parsed are kept, so that nothing is lost when a file is written back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from annotation.labelme.decoding import decode_json
from annotation.labelme.masks import mask_size
from base.errors import InputError
from base.files import read_regular, write_bytes
from base.mismatches import describe_mismatch
from base.parsing import encode_json

LABELME_VERSION = "5.5.0"  # the oldest version whose format has every key written here
MOST_BYTES = 128 << 20  # of one file; enough for an embedded photo of 100 megapixels
MOST_SHAPES = 100_000  # of one file
MOST_PIXELS_OF_MASKS = 2_000_000_000  # of one file: 160 masks as large as a photo of 12 megapixels


@dataclass(frozen=True)
class Shape:
    """One shape; `points` are (x, y) in pixels, with pixel corners at whole numbers.

    `mask` is a base64 PNG whose upper left corner is at the first point. `extra` holds keys that
    this project does not know.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    shape_type: str = "polygon"
    group_id: int | None = None
    flags: dict[str, bool] = field(default_factory=dict)
    description: str | None = ""
    mask: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UnreadableShape(Shape):
    """An entry of the list of shapes that cannot be parsed, for the `reason` given.

    It has no points. Its label is known if it is valid, and `raw` is the JSON value of the entry,
    which is written back unchanged. It takes the place of the shape, so that the indices of the
    other shapes stay the same.
    """

    raw: Any = None
    reason: str = ""


@dataclass(frozen=True)
class Annotation:
    """All shapes of one photo; `image_path` is as stored, relative to the folder of the file."""

    image_path: str
    height: int | None
    width: int | None
    shapes: tuple[Shape, ...]
    flags: dict[str, bool] = field(default_factory=dict)
    image_data: str | None = None
    version: str = LABELME_VERSION
    extra: dict[str, Any] = field(default_factory=dict)
    encoding: str = field(default="utf-8", compare=False)  # of the file
    repeated_keys: tuple[str, ...] = field(default=(), compare=False)  # the last value was used


class NotReadableError(InputError):
    """A file that cannot be read as an annotation; `rule` is the rule of its finding."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class _ShapeKeys(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = "polygon"  # missing in the first files of Labelme 3
    group_id: int | None = None
    flags: dict[str, bool] | None = None
    description: str | None = ""
    mask: str | None = None


class _FileKeys(msgspec.Struct, rename="camel"):
    image_path: str
    shapes: Annotated[list[Any], msgspec.Meta(max_length=MOST_SHAPES)]
    image_height: int | None = None
    image_width: int | None = None
    image_data: str | None = None
    flags: dict[str, bool] | None = None
    version: str | None = None


# X-AnyLabeling's types, which Labelme cannot open; both have the four corners as points
_FOREIGN_TYPES = {"rotation": "oriented_rectangle", "quadrilateral": "polygon"}
_SHAPE_KEYS = frozenset(_ShapeKeys.__struct_encode_fields__)
_FILE_KEYS = frozenset(_FileKeys.__struct_encode_fields__)


def read_annotation(path: Path, *, known: Collection[str] = ()) -> Annotation:
    """Read one Labelme file.

    `known` words (labels, names of photos) help to recognise Windows code pages. Raises
    NotReadableError, which names the file, the place, what was expected and what was found.
    """
    try:
        data = read_regular(path, most_bytes=MOST_BYTES)
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise NotReadableError("file-unreadable", message) from None
    return decode_annotation(data, where=str(path), known=known)


def decode_annotation(data: bytes, *, where: str, known: Collection[str] = ()) -> Annotation:
    """Decode the bytes of one Labelme file, which `where` names, as `read_annotation` does."""
    try:
        decoded = decode_json(data, known=known)
    except ValueError as error:
        raise NotReadableError("file-not-json", f"{where}: is not valid JSON: {error}") from None
    try:
        keys = msgspec.convert(decoded.value, _FileKeys)
    except msgspec.ValidationError as error:
        mismatch = describe_mismatch(str(error), _FileKeys, decoded.value)
        message = f"{where}: is not a Labelme file: {mismatch}"
        raise NotReadableError("file-not-labelme", message) from None
    shapes = tuple(map(_read_shape, keys.shapes))
    _check_masks(shapes, where)
    return Annotation(
        image_path=keys.image_path,
        height=keys.image_height,
        width=keys.image_width,
        shapes=shapes,
        flags=keys.flags or {},
        image_data=keys.image_data,
        version=keys.version or LABELME_VERSION,
        extra=_other_keys(decoded.value, _FILE_KEYS),
        encoding=decoded.encoding,
        repeated_keys=decoded.repeated_keys,
    )


def _check_masks(shapes: Iterable[Shape], where: str) -> None:
    """Raise NotReadableError if the masks of a file would fill the memory together."""
    total = 0
    for shape in shapes:
        if shape.mask is not None:
            with suppress(InputError):  # validation reports it
                total += math.prod(mask_size(shape.mask))
    if total > MOST_PIXELS_OF_MASKS:
        expected = f"expected masks of at most {MOST_PIXELS_OF_MASKS:,} pixels together"
        raise NotReadableError("file-not-labelme", f"{where}: {expected}, found {total:,}")


def _read_shape(raw: Any) -> Shape:
    try:
        keys = msgspec.convert(raw, _ShapeKeys)
    except msgspec.ValidationError as error:
        found = raw.get("label") if isinstance(raw, dict) else None
        label = found if isinstance(found, str) else ""
        return UnreadableShape(
            label, (), raw=raw, reason=describe_mismatch(str(error), _ShapeKeys, raw)
        )
    return Shape(
        label=keys.label,
        points=tuple(keys.points),
        shape_type=_FOREIGN_TYPES.get(keys.shape_type or "", keys.shape_type) or "polygon",
        group_id=keys.group_id,
        flags=keys.flags or {},
        description=keys.description,
        mask=keys.mask,
        extra=_other_keys(raw, _SHAPE_KEYS),
    )


def _other_keys(data: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    if data.keys() <= known:
        return {}
    return {key: value for key, value in data.items() if key not in known}


def write_annotation(path: Path, annotation: Annotation, *, durable: bool = False) -> None:
    """Write one Labelme file; `durable` is described in `base.files.replacing`."""
    write_bytes(path, encode_annotation(annotation), durable=durable)


def encode_annotation(annotation: Annotation) -> bytes:
    """Encode one Labelme file as UTF-8, with the keys in the order that Labelme uses."""
    data = {
        "version": annotation.version,
        "flags": annotation.flags,
        "shapes": [_shape_values(shape) for shape in annotation.shapes],
        "imagePath": annotation.image_path,
        "imageData": annotation.image_data,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
        **annotation.extra,
    }
    return encode_json(data, indent=2)


def _shape_values(shape: Shape) -> Any:
    if isinstance(shape, UnreadableShape):
        return shape.raw
    return {
        "label": shape.label,
        "points": shape.points,
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.shape_type,
        "flags": shape.flags,
        "mask": shape.mask,
        **shape.extra,
    }
