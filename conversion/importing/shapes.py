"""Converting COCO instance annotations to Labelme shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import encode_mask_png
from annotation.photos.files import Size
from base.errors import InputError
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.file import CocoFile, CocoImage, Problems
from conversion.coco.instances import InstanceKeys
from conversion.coco.panoptic import ATTRIBUTES
from conversion.coco.rle import Rle, decode_rle
from conversion.importing.labels import Labels
from conversion.painting.merge import KEPT


@dataclass(frozen=True)
class ConvertedImage:
    """The shapes of one image, and its stuff as (H, W) uint8 COCO ids with 0 for none.

    `segments` are the values of its stuff segments in the file.
    """

    shapes: tuple[Shape, ...] = ()
    stuff: NDArray[np.uint8] | None = None
    segments: tuple[dict[str, Any], ...] = ()


def shapes_of_instances(
    file: CocoFile, image: CocoImage, labels: Labels, size: Size, problems: Problems
) -> ConvertedImage:
    """Convert the annotations of an image of `size` (height, width) to shapes.

    Annotations that cannot be converted are added to `problems` and left out.
    """
    parts: list[tuple[Shape, ...]] = []
    for place, raw in image.annotations:
        with problems.collecting(f"{file.path}: annotations[{place}]"):
            parts.append(_instance_shapes(msgspec.json.decode(raw), labels, size))
    # COCO has no order, but later shapes are painted over earlier ones: crowds go below things
    parts.sort(key=lambda shapes: not shapes[0].flags.get("crowd", False))
    return ConvertedImage(tuple(_number_groups(parts)))


def _number_groups(parts: Sequence[tuple[Shape, ...]]) -> Iterator[Shape]:
    """Yield all shapes; several shapes of one annotation share a group_id, counted from 1."""
    groups = count(1)
    for shapes in parts:
        group = next(groups) if len(shapes) > 1 else None
        yield from (replace(shape, group_id=group) for shape in shapes)


def _instance_shapes(values: Any, labels: Labels, size: Size) -> tuple[Shape, ...]:
    """Convert one annotation to polygons, one mask, or a rectangle if it has only a box."""
    keys = msgspec.convert(values, InstanceKeys)
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
        raise InputError(f"expected a segmentation, or a bbox of 4 numbers, found {found}")
    x, y, width, height = keys.bbox
    corners = ((x, y), (x + width, y + height))
    return (Shape(label, corners, "rectangle", flags=flags, extra=extra),)


def _pairs(numbers: Sequence[float], place: int) -> tuple[tuple[float, float], ...]:
    """Return x, y pairs; validation reports polygons with too few points."""
    if len(numbers) % 2:
        raise InputError(
            f"segmentation[{place}]: expected x, y pairs, found {len(numbers)} numbers"
        )
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def split_flags(values: dict[str, Any]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Return the flags of an annotation, and its values that are not flags.

    `occluded` and `truncated` are beside the other keys or, in files from CVAT, under `attributes`.
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
    """Return a mask as Labelme writes it: its points are the first and last pixel of its box."""
    height, width = mask.pixels.shape
    last = (float(mask.x + width - 1), float(mask.y + height - 1))
    points = ((float(mask.x), float(mask.y)), last)
    png = encode_mask_png(np.ascontiguousarray(mask.pixels))
    return Shape(label, points, "mask", flags=flags, mask=png, extra=extra)
