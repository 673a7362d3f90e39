"""The COCO panoptic format: segment ids in PNGs, segments and categories in JSON.

Format: https://cocodataset.org/#format-data, "4. Panoptic Segmentation".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy import ndimage

from base.errors import InputError
from base.parsing import read_json, write_json
from conversion.coco.categories import Category, category_values
from conversion.coco.cropped_mask import XYWH, Extent
from conversion.coco.lookup import find_file
from conversion.coco.png import VOID, SegmentIds, read_segment_ids

ATTRIBUTES = ("occluded", "truncated")  # of segments; `crowd` is COCO's own iscrowd


@dataclass(frozen=True)
class Segment:
    """One region of a panoptic image; `bbox` is xywh in pixels, `score` is in 0..1.

    `attributes` are flags of its shapes, such as `occluded`; in JSON, they are keys with the value
    1. `extra` holds other keys from an import and is not compared.
    """

    id: int
    category_id: int
    area: int
    bbox: XYWH
    iscrowd: bool = False
    score: float | None = None
    attributes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo with its segments; `file_name` is below the images, `png_name` below the PNGs."""

    id: int
    file_name: str
    width: int
    height: int
    png_name: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class PanopticSet:
    """One panoptic JSON, ground truth or prediction, and the folder of its PNGs."""

    json_path: Path
    png_folder: Path
    categories: tuple[Category, ...]
    photos: tuple[Photo, ...]

    def segment_ids(self, photo: Photo) -> SegmentIds:
        """Read the PNG of a photo as (H, W) uint32 segment ids.

        Raises InputError if it is missing or damaged, or if its size is not that of the photo.
        """
        name, where = photo.png_name, str(self.json_path)
        path = find_file(self.png_folder, name, where=where) or self.png_folder / name
        try:
            return read_segment_ids(path, (photo.height, photo.width))
        except InputError as error:
            raise InputError(f"{error} (photo {photo.file_name})") from None


def measure(ids: SegmentIds) -> dict[int, Extent]:
    """Return the area and box of every segment id in (H, W) uint32 `ids`, except void."""
    present, dense = np.arange(int(ids.max()) + 1), ids.astype(np.int32)
    if len(present) > ids.size:  # sparse ids: renumber them to keep the tables small
        present, inverse = np.unique(np.append(VOID, ids), return_inverse=True)
        dense = inverse[1:].reshape(ids.shape).astype(np.int32)
    areas = np.bincount(dense.ravel(), minlength=len(present))
    boxes = ndimage.find_objects(dense)
    result = {}
    for segment_id, area, box in zip(present[1:].tolist(), areas[1:].tolist(), boxes, strict=True):
        if box is not None:
            rows, columns = box
            size = (columns.stop - columns.start, rows.stop - rows.start)
            result[segment_id] = Extent(area, (columns.start, rows.start, *size))
    return result


# --- the JSON file ---


def split_json(folder: Path, split: str) -> Path:
    """Return the panoptic JSON of a split in the folder `panoptic/` of a data set."""
    return folder / "annotations" / f"panoptic_{split}.json"


def find_split_jsons(folder: Path) -> dict[str, Path]:
    """Return the panoptic JSONs in the folder `panoptic/` of a data set by split, sorted."""
    paths = sorted(folder.glob(str(split_json(Path(), "*"))))
    return {path.stem.removeprefix("panoptic_"): path for path in paths}


class _SegmentKeys(msgspec.Struct):
    id: int
    category_id: int
    area: float
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    score: float | None = None
    occluded: int = 0
    truncated: int = 0


class _AnnotationKeys(msgspec.Struct):
    image_id: int
    file_name: str
    segments_info: list[_SegmentKeys]


class _ImageKeys(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _CategoryKeys(msgspec.Struct):
    id: int
    name: str
    isthing: int
    color: tuple[int, int, int] = (128, 128, 128)


class _FileKeys(msgspec.Struct):
    images: list[_ImageKeys]
    annotations: list[_AnnotationKeys]
    categories: list[_CategoryKeys]


def read_panoptic(json_path: Path) -> PanopticSet:
    """Read a panoptic JSON; images and annotations are joined by id, never by position.

    `png_folders` says where the PNGs may be. Raises InputError if the file is not a COCO panoptic
    set, or if the folder of PNGs is missing.
    """
    try:
        keys = msgspec.convert(read_json(json_path), _FileKeys)
    except msgspec.ValidationError as error:
        raise InputError(f"{json_path}: expected a COCO panoptic file: {error}") from None
    by_image = {a.image_id: a for a in keys.annotations}
    for image in keys.images:
        if image.id not in by_image:
            raise InputError(f"{json_path}: image {image.id} ({image.file_name}) has no annotation")
    return PanopticSet(
        json_path=json_path,
        png_folder=_find_png_folder(json_path),
        categories=tuple(Category(c.id, c.name, bool(c.isthing), c.color) for c in keys.categories),
        photos=tuple(_photo(image, by_image[image.id]) for image in keys.images),
    )


def _photo(image: _ImageKeys, annotation: _AnnotationKeys) -> Photo:
    segments = tuple(
        Segment(
            id=s.id,
            category_id=s.category_id,
            area=int(s.area),
            bbox=(int(s.bbox[0]), int(s.bbox[1]), int(s.bbox[2]), int(s.bbox[3])),
            iscrowd=bool(s.iscrowd),
            score=s.score,
            attributes=tuple(name for name in ATTRIBUTES if getattr(s, name)),
        )
        for s in annotation.segments_info
    )
    return Photo(
        image.id, image.file_name, image.width, image.height, annotation.file_name, segments
    )


def png_folders(json_path: Path) -> tuple[Path, ...]:
    """Return the folders where the PNGs of a panoptic JSON may be, the preferred one first.

    A folder with the name of the JSON is beside it, or beside its folder as in COCO's own layout.
    """
    return json_path.with_suffix(""), json_path.parent.parent / json_path.stem


def _find_png_folder(json_path: Path) -> Path:
    candidates = png_folders(json_path)
    for folder in candidates:
        if folder.is_dir():
            return folder
    expected = " or ".join(map(str, candidates))
    raise InputError(f"{json_path}: folder of PNGs missing; expected {expected}")


def write_panoptic(panoptic: PanopticSet) -> None:
    """Write the JSON of a panoptic set whose PNGs have already been written."""
    data = {
        "images": [image_values(p) for p in panoptic.photos],
        "annotations": [annotation_values(p) for p in panoptic.photos],
        "categories": category_values(panoptic.categories),
    }
    write_json(panoptic.json_path, data)


def image_values(photo: Photo) -> dict[str, Any]:
    """Return a photo in the form of COCO's JSON."""
    size = {"width": photo.width, "height": photo.height}
    return {"id": photo.id, "file_name": photo.file_name, **size}


def annotation_values(photo: Photo) -> dict[str, Any]:
    """Return a photo's segments in the form of COCO's JSON."""
    segments = [_segment_values(segment) for segment in photo.segments]
    return {"image_id": photo.id, "file_name": photo.png_name, "segments_info": segments}


def _segment_values(segment: Segment) -> dict[str, Any]:
    values = {
        **segment.extra,
        "id": segment.id,
        "category_id": segment.category_id,
        "area": segment.area,
        "bbox": segment.bbox,
        "iscrowd": int(segment.iscrowd),
        **dict.fromkeys(segment.attributes, 1),
    }
    return values if segment.score is None else {**values, "score": segment.score}
