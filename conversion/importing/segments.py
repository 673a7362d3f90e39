"""Converting COCO panoptic annotations to Labelme mask shapes and label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from annotation.labelme.annotation import Shape
from annotation.photos.files import Size
from base.errors import InputError
from conversion.coco.cropped_mask import CroppedMask, Extent
from conversion.coco.file import CocoFile, CocoImage
from conversion.coco.links import Id
from conversion.coco.lookup import find_file
from conversion.coco.panoptic import measure
from conversion.coco.panoptic_file import png_folders
from conversion.coco.png import SegmentIds, read_segment_ids
from conversion.coco.problems import Problems
from conversion.importing.labels import Labels
from conversion.importing.remarks import Remark
from conversion.importing.shapes import ConvertedImage, mask_shape, split_flags
from conversion.painting.merge import KEPT


class _SegmentKeys(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1, lt=1 << 24)]
    category_id: Id
    iscrowd: float | bool | None = 0


class _PanopticKeys(msgspec.Struct):
    file_name: str
    segments_info: list[dict[str, Any]]


def shapes_of_segments(
    file: CocoFile, image: CocoImage, labels: Labels, size: Size, problems: Problems
) -> ConvertedImage:
    """Convert the segments of an image of `size` (height, width) to masks and stuff.

    Segments that cannot be converted are added to `problems` and left out.
    """
    if not image.annotations:
        return ConvertedImage(annotated=False, remarks=(Remark("no-entry", image.where),))
    if len(image.annotations) != 1:
        problems.add(f"{image.where}: expected one annotation, found {len(image.annotations)}")
        return ConvertedImage()
    ((place, raw),) = image.annotations
    where = f"{file.path}: annotations[{place}]"
    with problems.collecting(where):
        keys = msgspec.json.decode(raw, type=_PanopticKeys)
        png = _find_png(file, keys.file_name)
        ids = read_segment_ids(png, size)
        segments = _read_segments(where, keys.segments_info, problems)
        extents = measure(ids)
        if unknown := sorted(extents.keys() - {one.id for one, _ in segments}):
            raise InputError(f"{keys.file_name} has ids without a segment: {unknown[:5]}")
        return replace(_convert(segments, ids, extents, labels), png=png)
    return ConvertedImage()


def _read_segments(
    where: str, raw: Sequence[dict[str, Any]], problems: Problems
) -> list[tuple[_SegmentKeys, dict[str, Any]]]:
    found: dict[int, tuple[_SegmentKeys, dict[str, Any]]] = {}
    for number, values in enumerate(raw):
        with problems.collecting(f"{where}: segments_info[{number}]"):
            keys = msgspec.convert(values, _SegmentKeys, strict=False)
            if keys.id in found:
                raise InputError(f"id {keys.id} appears twice")
            found[keys.id] = (keys, values)
    return list(found.values())


def _find_png(file: CocoFile, name: str) -> Path:
    """Return the PNG `name` of an image, which may also be beside the JSON."""
    folders = (*png_folders(file.path), file.path.parent)
    pngs = (find_file(folder, name, where="file_name") for folder in folders)
    png = next((png for png in pngs if png is not None), None)
    if png is None:
        looked = ", ".join(map(str, folders))
        raise InputError(f"file_name: PNG '{name}' is missing; looked in {looked}")
    return png


def _convert(
    segments: Sequence[tuple[_SegmentKeys, dict[str, Any]]],
    ids: SegmentIds,
    extents: dict[int, Extent],
    labels: Labels,
) -> ConvertedImage:
    shapes: list[Shape] = []
    kept: list[dict[str, Any]] = []
    stuff = np.zeros(ids.shape, np.uint8)
    for keys, values in segments:
        xywh = extents[keys.id].xywh if keys.id in extents else (0, 0, 1, 1)
        mask = CroppedMask.of_segment(ids, keys.id, xywh)
        if keys.category_id in labels.stuff:
            mask.paint(stuff, labels.stuff[keys.category_id])
            kept.append(values)
        else:
            label = labels.things.get(keys.category_id, "")
            flags, rest = split_flags(values, crowds=True)
            shapes.append(mask_shape(label, mask, flags, {KEPT: rest}))
    return ConvertedImage(tuple(shapes), stuff if kept else None, tuple(kept))
