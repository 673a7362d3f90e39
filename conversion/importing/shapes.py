"""Converting COCO instance annotations to Labelme shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.labelme.annotation import Shape
from annotation.labelme.masks import encode_mask_png
from annotation.photos.files import Size
from base.counting import counted
from base.errors import InputError
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.file import CocoFile, CocoImage
from conversion.coco.instances import InstanceKeys
from conversion.coco.panoptic import ATTRIBUTES
from conversion.coco.problems import Problems
from conversion.coco.rle import Rle, decode_rle
from conversion.importing.boxes import read_box
from conversion.importing.contradictions import XYXY, area_has_holes, contradicts_bbox
from conversion.importing.labels import Labels
from conversion.importing.remarks import Kind, Remark
from conversion.painting.merge import KEPT


@dataclass(frozen=True)
class ConvertedImage:
    """The shapes of one image, and its stuff as (H, W) uint8 COCO ids with 0 for none.

    `segments` are the values of its stuff segments in the file. `annotated` is False if the file
    has no entry for the image. `png` is the file of its segment ids.
    """

    shapes: tuple[Shape, ...] = ()
    stuff: NDArray[np.uint8] | None = None
    segments: tuple[dict[str, Any], ...] = ()
    annotated: bool = True
    png: Path | None = None
    remarks: tuple[Remark, ...] = ()


def shapes_of_instances(
    file: CocoFile, image: CocoImage, labels: Labels, size: Size, problems: Problems
) -> ConvertedImage:
    """Convert the annotations of an image of `size` (height, width) to shapes.

    Annotations that cannot be converted are added to `problems` and left out.
    """
    parts: list[tuple[Shape, ...]] = []
    remarks: list[Remark] = []
    for place, raw in image.annotations:
        where = f"{file.path}: annotations[{place}]"
        with problems.collecting(where):
            keys, values = _read(raw)
            shapes, kinds = _instance_shapes(keys, values, labels, size)
            parts.append(shapes)
            remarks += [Remark(kind, where) for kind in kinds]
    # COCO has no order, but later shapes are painted over earlier ones: crowds go below things
    parts.sort(key=lambda shapes: not shapes[0].flags.get("crowd", False))
    return ConvertedImage(tuple(_number_groups(parts)), remarks=tuple(remarks))


def _read(raw: msgspec.Raw) -> tuple[InstanceKeys, dict[str, Any]]:
    """Parse one annotation; raises InputError if it can only be read by guessing."""
    values = msgspec.json.decode(raw)
    outline = values.get("segmentation") if isinstance(values, dict) else None
    if isinstance(outline, list) and outline and isinstance(outline[0], int | float):
        raise InputError(
            "segmentation: expected a list of polygons, found a flat list of numbers; write"
            " [[x, y, ...]]"
        )
    return msgspec.convert(values, InstanceKeys), values


def _number_groups(parts: Sequence[tuple[Shape, ...]]) -> Iterator[Shape]:
    """Yield all shapes; several shapes of one annotation share a group_id, counted from 1."""
    groups = count(1)
    for shapes in parts:
        group = next(groups) if len(shapes) > 1 else None
        yield from (replace(shape, group_id=group) for shape in shapes)


def _instance_shapes(
    keys: InstanceKeys, values: dict[str, Any], labels: Labels, size: Size
) -> tuple[tuple[Shape, ...], list[Kind]]:
    """Convert one annotation to polygons, one mask, or a rectangle if it has only a box.

    A rotated box becomes a polygon. Also returns what is remarkable about the annotation.
    """
    label = labels.things.get(keys.category_id, "")
    flags, rest = split_flags(values, crowds=labels.crowds)
    rest.pop("segmentation", None)
    rest.pop("image_id", None)
    rest.pop("bbox_mode", None)
    extra = {KEPT: rest}
    if isinstance(keys.segmentation, Rle):
        mask = decode_rle(keys.segmentation, size)
        shape = mask_shape(label, mask, flags, extra)
        return (shape,), ["bbox"] if contradicts_bbox(_mask_box(mask), keys.xywh, size) else []
    polygons = [polygon for polygon in keys.segmentation or [] if polygon]
    if polygons:
        shapes = tuple(
            Shape(label, _pairs(polygon, number), flags=flags, extra=extra)
            for number, polygon in enumerate(polygons)
        )
        kinds: list[Kind] = []
        if contradicts_bbox(_outline_box(polygons), keys.xywh, size):
            kinds.append("bbox")
        if area_has_holes(polygons, values.get("area"), size):
            kinds.append("hole")
        return shapes, kinds
    box = read_box(keys.xywh, values)
    kind = "polygon" if box.rotated else "rectangle"
    if box.rotated and isinstance(rest.get("attributes"), dict):  # otherwise, it would be applied
        rest["attributes"].pop("rotation", None)  # again to the polygon
    shape = Shape(label, box.points, kind, flags=flags, extra=extra)
    about: list[Kind] = ["rotated"] if box.rotated else ["angle"] if box.unknown_angle else []
    return (shape,), about


def _mask_box(mask: CroppedMask) -> XYXY | None:
    extent = mask.measure()
    if extent is None:
        return None
    x, y, width, height = extent.xywh
    return x, y, x + width, y + height


def _outline_box(polygons: Sequence[Sequence[float]]) -> XYXY:
    xs = [x for polygon in polygons for x in polygon[::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def _pairs(numbers: Sequence[float], place: int) -> tuple[tuple[float, float], ...]:
    """Return x, y pairs; validation reports polygons with too few points."""
    if len(numbers) % 2:
        raise InputError(
            f"segmentation[{place}]: expected x, y pairs, found {counted(len(numbers), 'number')}"
        )
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def split_flags(values: dict[str, Any], *, crowds: bool) -> tuple[dict[str, bool], dict[str, Any]]:
    """Return the flags of an annotation, and its values that are not flags.

    `crowds` is False if `iscrowd` has another meaning in its file.
    `occluded` and `truncated` are beside the other keys or, in files from CVAT, under `attributes`.
    """
    flags = {"crowd": True} if crowds and values.get("iscrowd") else {}
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
