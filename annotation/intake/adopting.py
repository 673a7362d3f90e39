"""Bringing the Labelme files of photos into the set into which the photos are collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from annotation.labelme.annotation import Annotation, Shape, decode_annotation, write_annotation
from annotation.labelme.masks import decode_mask_png, encode_mask_png
from annotation.photos.files import Size, header_of_image, open_photo, photo_size
from base.errors import InputError
from base.naming import fold, path_parts


@dataclass(frozen=True)
class FoundAnnotation:
    """A JSON file that may be the annotation of a photo, both by their paths in the source.

    `alone`: it cannot belong to another photo, as it could if `a.png` lay beside `a.jpg`.
    """

    photo: str
    path: str
    alone: bool


def find_annotations(photos: Iterable[str], files: Iterable[str]) -> dict[str, FoundAnnotation]:
    """Return the file with the name of each photo, by the path of the photo in the source.

    It lies beside the photo, or in `labelme/` if the photo is in `images/`.
    """
    present = {fold(one): one for one in files if one.lower().endswith(".json")}
    found = {}
    for photo in photos if present else ():
        stem = photo.rpartition(".")[0]
        root, images, below = f"/{stem}".rpartition("/images/")
        places = [stem, f"{root}/labelme/{below}"[1:]] if images else [stem]
        for place in places:
            if (path := present.get(fold(f"{place}.json"))) is not None:
                found[photo] = path
    counts = Counter(found.values())
    return {photo: FoundAnnotation(photo, path, counts[path] == 1) for photo, path in found.items()}


def adopt_annotation(
    root: Path, image: str, data: bytes, photo: bytes, found: FoundAnnotation
) -> bool:
    """Store a Labelme file, `data`, for the photo `image` of a set; `photo` is the original photo.

    Its shapes are scaled like the photo. Returns False if the set has an annotation of the photo
    already, or if the file names another photo that may have it.

    Raises InputError if it is not a Labelme file.
    """
    stem = image.rpartition(".")[0]
    path = root / "labelme" / f"{stem}.json"
    if path.exists() or (root / "images" / f"{stem}.json").exists():
        return False
    annotation = decode_annotation(data, where=found.path)
    named = path_parts(annotation.image_path)[-1:]
    if not found.alone and [fold(name) for name in named] != [fold(path_parts(found.photo)[-1])]:
        return False
    with open_photo(BytesIO(photo)) as opened:
        before = header_of_image(opened).size
    scaled = _scaled(annotation, before, photo_size(root / "images" / image))
    stored = replace(scaled, image_path=f"../images/{image}", image_data=None)
    write_annotation(path, stored, durable=True)
    return True


def _scaled(annotation: Annotation, before: Size, after: Size) -> Annotation:
    """Scale an annotation of a photo of the size `before` (height, width) to the size `after`."""
    if before == after:
        return annotation
    down, across = after[0] / before[0], after[1] / before[1]
    height = None if annotation.height is None else round(annotation.height * down)
    width = None if annotation.width is None else round(annotation.width * across)
    shapes = tuple(_scaled_shape(shape, before, across, down) for shape in annotation.shapes)
    return replace(annotation, height=height, width=width, shapes=shapes)


def _scaled_shape(shape: Shape, picture: Size, across: float, down: float) -> Shape:
    points = tuple((x * across, y * down) for x, y in shape.points)
    if shape.shape_type != "mask" or not shape.mask:
        return replace(shape, points=points)
    try:
        pixels = decode_mask_png(shape.mask, picture)
    except InputError:  # validation reports it
        return replace(shape, points=points)
    height, width = pixels.shape
    size = (max(1, round(width * across)), max(1, round(height * down)))
    small = cv2.resize(pixels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return replace(shape, points=points, mask=encode_mask_png(small > 0))
