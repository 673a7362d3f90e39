"""Reading and writing the JSON of COCO panoptic sets.

Format: https://cocodataset.org/#format-data, "4. Panoptic Segmentation".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from annotation.photos.files import check_size
from base.errors import InputError
from base.files import inside
from base.parsing import read_json, write_json
from conversion.coco.categories import Category, category_values
from conversion.coco.cropped_mask import XYWH
from conversion.coco.panoptic import ATTRIBUTES, PanopticSet, Photo, Segment, measure
from conversion.coco.png import read_png_header


class _SegmentKeys(msgspec.Struct):
    id: int
    category_id: int
    area: float | None = None
    bbox: tuple[float, float, float, float] | None = None
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
    annotations: list[_AnnotationKeys]
    images: list[_ImageKeys] | None = None
    categories: list[_CategoryKeys] | None = None


def read_panoptic(
    json_path: Path, truth: PanopticSet | None = None, *, needs_images: bool = True
) -> PanopticSet:
    """Read a panoptic JSON; images and annotations are joined by id, never by position.

    Areas and boxes that are missing are measured in the PNGs. `png_folders` says where these may
    be. A prediction may lack images and categories, as in COCO's panoptic results format; it then
    has those of the ground truth `truth`. Without `needs_images`, photos without an image have the
    names and sizes of their PNGs. Raises InputError if the file is not a COCO panoptic set, if an
    id or a photo is repeated, or if the folder of PNGs is missing.
    """
    try:
        keys = msgspec.convert(read_json(json_path), _FileKeys)
    except msgspec.ValidationError as error:
        raise InputError(f"{json_path}: expected a COCO panoptic file: {error}") from None
    _check_unique(keys, json_path)
    by_image = {a.image_id: a for a in keys.annotations}
    png_folder = _find_png_folder(json_path)
    if keys.images is None and not needs_images:
        images = [_image_of_png(annotation, png_folder) for annotation in keys.annotations]
    else:
        images = _images(keys, json_path, truth)
    for image in images:
        where = f"{json_path}: image {image.id} ({image.file_name})"
        if image.id not in by_image:
            raise InputError(f"{where} has no annotation")
        _check_size(image, where)
    found = PanopticSet(
        json_path=json_path,
        png_folder=png_folder,
        categories=_categories(keys, json_path, truth),
        photos=tuple(_photo(image, by_image[image.id]) for image in images),
    )
    incomplete = {
        a.image_id
        for a in keys.annotations
        if any(s.area is None or s.bbox is None for s in a.segments_info)
    }
    photos = tuple(_measured(found, p) if p.id in incomplete else p for p in found.photos)
    return replace(found, photos=photos)


def _check_size(image: _ImageKeys, where: str) -> None:
    """Raise InputError for a photo without pixels, or with more than may be allocated."""
    if image.width < 1 or image.height < 1:
        raise InputError(f"{where}: expected pixels, found {image.width}x{image.height}")
    check_size(image.width, image.height, where=where)


def _images(keys: _FileKeys, json_path: Path, truth: PanopticSet | None) -> list[_ImageKeys]:
    if keys.images is not None:
        return keys.images
    if truth is None:
        raise _missing("images", json_path)
    known = {photo.id: photo for photo in truth.photos}
    for index, annotation in enumerate(keys.annotations):
        if annotation.image_id not in known:
            raise InputError(
                f"{json_path}: annotations[{index}].image_id: expected an image of"
                f" {truth.json_path}, found {annotation.image_id}"
            )
    photos = (known[annotation.image_id] for annotation in keys.annotations)
    return [_ImageKeys(p.id, p.file_name, p.width, p.height) for p in photos]


def _image_of_png(annotation: _AnnotationKeys, png_folder: Path) -> _ImageKeys:
    path = inside(png_folder, annotation.file_name, where=str(png_folder))
    height, width = read_png_header(path).size
    return _ImageKeys(annotation.image_id, annotation.file_name, width, height)


def _categories(
    keys: _FileKeys, json_path: Path, truth: PanopticSet | None
) -> tuple[Category, ...]:
    if keys.categories is not None:
        return tuple(Category(c.id, c.name, bool(c.isthing), c.color) for c in keys.categories)
    if truth is None:
        raise _missing("categories", json_path)
    return truth.categories


def _missing(key: str, json_path: Path) -> InputError:
    return InputError(
        f"{json_path}: expected a COCO panoptic file: Object missing required field `{key}`"
    )


def _check_unique(keys: _FileKeys, json_path: Path) -> None:
    """Raise InputError if an image, annotation, category or segment occurs twice."""
    images, categories = keys.images or [], keys.categories or []
    lists: dict[str, list[Any]] = {
        "images: id": [image.id for image in images],
        "images: file_name": [image.file_name for image in images],
        "annotations: image_id": [annotation.image_id for annotation in keys.annotations],
        "categories: id": [category.id for category in categories],
    }
    for annotation in keys.annotations:
        where = f"annotation of image {annotation.image_id}: segments_info: id"
        lists[where] = [segment.id for segment in annotation.segments_info]
    for where, values in lists.items():
        if len(set(values)) < len(values):
            value, count = Counter(values).most_common(1)[0]
            raise InputError(f"{json_path}: {where}: expected {value} once, found it {count} times")


def _photo(image: _ImageKeys, annotation: _AnnotationKeys) -> Photo:
    segments = tuple(
        Segment(
            id=s.id,
            category_id=s.category_id,
            area=int(s.area or 0),
            bbox=_xywh(s.bbox or (0, 0, 0, 0)),
            iscrowd=bool(s.iscrowd),
            score=s.score,
            attributes=tuple(name for name in ATTRIBUTES if getattr(s, name)),
        )
        for s in annotation.segments_info
    )
    return Photo(
        image.id, image.file_name, image.width, image.height, annotation.file_name, segments
    )


def _xywh(values: tuple[float, float, float, float]) -> XYWH:
    x, y, w, h = map(int, values)
    return x, y, w, h


def _measured(panoptic: PanopticSet, photo: Photo) -> Photo:
    """Return a photo with the areas and boxes of its pixels; segments without any keep theirs."""
    extents = measure(panoptic.segment_ids(photo))
    segments = (
        replace(s, area=extents[s.id].area, bbox=extents[s.id].xywh) if s.id in extents else s
        for s in photo.segments
    )
    return replace(photo, segments=tuple(segments))


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
