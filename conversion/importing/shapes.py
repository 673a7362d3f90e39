"""COCO instance annotations to Labelme shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import encode_mask_png
from annotation.photos.files import Size
from base.errors import InputError
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.file import CocoFile, CocoImage, Id, Problems
from conversion.coco.panoptic import ATTRIBUTES
from conversion.coco.rle import Rle, decode_rle
from conversion.importing.labels import Labels
from conversion.painting.merge import KEPT

Coordinate = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class _InstanceKeys(msgspec.Struct):
    category_id: Id
    segmentation: list[list[Coordinate]] | Rle | None = None
    bbox: list[Coordinate] | None = None
    iscrowd: int | bool = 0


@dataclass(frozen=True)
class Drawn:
    """What one image becomes: its shapes, its stuff as (H, W) uint8 COCO ids, 0 where none is.

    `segments` are the values of its stuff segments.
    """

    shapes: tuple[Shape, ...] = ()
    stuff: NDArray[np.uint8] | None = None
    segments: tuple[dict[str, Any], ...] = ()


def draw_instances(
    file: CocoFile, image: CocoImage, labels: Labels, size: Size, problems: Problems
) -> Drawn:
    """Turn the annotations of an image of (height, width) pixels into shapes.

    What cannot be turned is added to `problems` and left out.
    """
    parts: list[tuple[Shape, ...]] = []
    for place, raw in image.annotations:
        with problems.collecting(f"{file.path}: annotations[{place}]"):
            parts.append(_instance_shapes(msgspec.json.decode(raw), labels, size))
    # COCO has no order, but in Labelme what comes later lies above: crowds go below single things
    parts.sort(key=lambda shapes: not shapes[0].flags.get("crowd", False))
    return Drawn(tuple(_number_groups(parts)))


def _number_groups(parts: Sequence[tuple[Shape, ...]]) -> Iterator[Shape]:
    """The shapes one after the other; several of one annotation share a group_id, from 1."""
    groups = count(1)
    for shapes in parts:
        group = next(groups) if len(shapes) > 1 else None
        yield from (replace(shape, group_id=group) for shape in shapes)


def _instance_shapes(values: Any, labels: Labels, size: Size) -> tuple[Shape, ...]:
    """Shapes of one annotation: polygons as they are, one mask, or a rectangle for a bare box."""
    keys = msgspec.convert(values, _InstanceKeys)
    label = labels.things.get(keys.category_id, "")
    flags, rest = split_flags(values)
    rest.pop("segmentation", None)
    rest.pop("image_id", None)
    extra = {KEPT: rest}
    if isinstance(keys.segmentation, Rle):
        return (mask_shape(label, decode_rle(keys.segmentation, size), flags, extra),)
    polygons = [polygon for polygon in keys.segmentation or [] if polygon]
    if polygons:
        return tuple(
            Shape(label, _pairs(polygon, number), flags=flags, extra=extra)
            for number, polygon in enumerate(polygons)
        )
    if keys.bbox is None or len(keys.bbox) != 4:
        found = "none" if keys.bbox is None else f"{len(keys.bbox)} numbers"
        raise InputError(f"expected a segmentation, or a bbox of 4 numbers, got {found}")
    x, y, width, height = keys.bbox
    corners = ((x, y), (x + width, y + height))
    return (Shape(label, corners, "rectangle", flags=flags, extra=extra),)


def _pairs(numbers: Sequence[float], place: int) -> tuple[tuple[float, float], ...]:
    """x, y pairs; that there are too few for an area is for validation to say."""
    if len(numbers) % 2:
        raise InputError(f"segmentation[{place}]: expected x, y pairs, got {len(numbers)} numbers")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def split_flags(values: dict[str, Any]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Flags of an annotation, and the values that are none.

    `occluded` and `truncated` stand beside the other keys or under `attributes`, as CVAT has them.
    """
    flags = {"crowd": True} if values.get("iscrowd") else {}
    rest = {key: value for key, value in values.items() if key != "iscrowd"}
    inner = dict(rest["attributes"]) if isinstance(rest.get("attributes"), dict) else {}
    for name in ATTRIBUTES:
        for holder in (rest, inner):
            if isinstance(holder.get(name), bool | int) and holder[name] in (0, 1):
                flags[name] = bool(holder.pop(name)) or flags.get(name, False)
    if inner:
        rest["attributes"] = inner
    elif isinstance(rest.get("attributes"), dict):
        del rest["attributes"]
    return flags, rest


def mask_shape(
    label: str, mask: CroppedMask, flags: dict[str, bool], extra: dict[str, Any]
) -> Shape:
    """A mask as Labelme writes it: its points are the first and the last pixel of its box."""
    height, width = mask.pixels.shape
    last = (float(mask.x + width - 1), float(mask.y + height - 1))
    points = ((float(mask.x), float(mask.y)), last)
    png = encode_mask_png(np.ascontiguousarray(mask.pixels))
    return Shape(label, points, "mask", flags=flags, mask=png, extra=extra)
