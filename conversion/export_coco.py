"""COCO instances straight from Labelme files: whole outlines, no split, no stuff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pycocotools import mask as coco_mask

from annotation.dataset import Dataset
from annotation.files import InputError, nearest, replacing
from annotation.instances import Instance, find_instances, instance_outlines
from annotation.labelme import Shape, read_annotation
from annotation.photos import PhotoIndex, photo_size
from annotation.progress import track
from conversion.categories import Category, dataset_categories
from conversion.panoptic import category_values
from conversion.raster import Cropped, encode_cropped, shape_masks, united, without


@dataclass(frozen=True)
class Exported:
    """Numbers of photos and instances in the file, and what had to be left out, with the reason."""

    photos: int
    instances: int
    left_out: tuple[str, ...]


def export_instances(dataset: Dataset, path: Path) -> Exported:
    """Write `path`, the COCO instances of all annotations; broken ones are left out and named.

    Shapes of one label and `group_id` are one instance, less their holes; areas and boxes are those
    of pycocotools' pixels. Polygons are written as such, what they cannot say as run lengths.
    """
    config = dataset.config
    categories = dataset_categories(config.things, (), where=str(dataset.root / "dataset.yaml"))
    index = PhotoIndex(dataset, dataset.photos())
    writer = _Writer(dataset, categories)
    left_out: list[str] = []
    images: list[bytes] = []
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.write(b'{"annotations":[')  # first, since they need not wait for anything
        for file in track(dataset.annotations(), "export"):
            try:
                found = writer.photo(file, index, number=len(images) + 1)
            except InputError as error:
                left_out.append(str(error))
                continue
            if found is not None:
                image, annotations = found
                images.append(image)
                out.writelines(annotations)
        out.write(b'],"images":[' + b",\n".join(images) + b'],"categories":')
        out.write(msgspec.json.encode(category_values(categories)) + b"}")
    return Exported(len(images), writer.count, tuple(left_out))


class _Writer:
    """Photos and instances as JSON, instances numbered from 1."""

    def __init__(self, dataset: Dataset, categories: Sequence[Category]) -> None:
        self._dataset = dataset
        self._category_of = {category.name: category.id for category in categories}
        self._encode = msgspec.json.Encoder().encode
        self.count = 0
        self._file_of: dict[Path, Path] = {}  # by photo

    def photo(
        self, file: Path, index: PhotoIndex, *, number: int
    ) -> tuple[bytes, list[bytes]] | None:
        """One image and its annotations, each after the first in the file with a comma before it.

        None for a photo that is flagged `exclude`. Raises InputError for what cannot be read.
        """
        annotation = read_annotation(file, known=index.known_words)
        labels = self._dataset.config.labels
        for shape in annotation.shapes:
            if shape.label not in labels:
                raise InputError(
                    f"{file}: label '{shape.label}' is unknown{nearest(shape.label, labels)}"
                )
        photo = index.find(file, annotation.image_path).photo
        if photo is None:
            raise InputError(f"{file}: its photo is missing: '{annotation.image_path}'")
        if (other := self._file_of.setdefault(photo, file)) != file:
            raise InputError(f"{file}: annotates the same photo as {other}")
        if annotation.flags.get("exclude"):
            return None
        height, width = annotation.height, annotation.width
        if not height or not width:
            height, width = photo_size(photo)
        name = str(photo)[len(str(self._dataset.images)) + 1 :]
        image = {"id": number, "file_name": name, "width": width, "height": height}
        try:
            found = list(self._instances(annotation.shapes, height, width))
        except InputError as error:  # a shape that covers nothing
            raise InputError(f"{file}: {error}") from None
        lines = []
        for values in found:
            comma = b",\n" if self.count else b""
            self.count += 1
            one = {"id": self.count, "image_id": number, **values}
            lines.append(comma + self._encode(one))
        return self._encode(image), lines

    def _instances(
        self, shapes: Sequence[Shape], height: int, width: int
    ) -> Iterator[dict[str, Any]]:
        config, outlines, plain, others = self._dataset.config, [], [], []
        for instance in find_instances(shapes, config):
            label = config.thing_of(instance.label)
            if label is None:
                continue
            values = {"category_id": self._category_of[label]}
            polygons = instance_outlines(instance, shapes)
            if polygons and len(polygons) == 1:
                plain.append((instance, values))
                outlines += polygons
            else:
                others.append((instance, values, polygons))
        codes = coco_mask.frPyObjects(outlines, height, width) if outlines else []
        areas, boxes = coco_mask.area(codes).tolist(), coco_mask.toBbox(codes).tolist()
        for (instance, values), polygon, area, box in zip(
            plain, outlines, areas, boxes, strict=True
        ):
            if not area:
                continue  # it lies outside
            flags = dict.fromkeys(sorted(instance.flags), 1)
            measured = {"segmentation": [polygon], "area": area, "bbox": box, "iscrowd": 0}
            yield {**values, **measured, **flags}
        for instance, values, polygons in others:
            mask = _pixels(instance, shapes, height, width, config.line_width)
            if not mask[0].any():
                continue
            code = encode_cropped(mask, height=height, width=width)
            measured = {
                "segmentation": polygons or code,
                "area": int(coco_mask.area(code)),
                "bbox": coco_mask.toBbox(code).tolist(),
                "iscrowd": int(instance.ignored or "crowd" in instance.flags),
            }
            flags = dict.fromkeys(sorted(instance.flags - {"crowd"}), 1)
            yield {**values, **measured, **flags}


def _pixels(
    instance: Instance, shapes: Sequence[Shape], height: int, width: int, line_width: float
) -> Cropped:
    """All pixels of an instance, covered or not."""
    used = [shapes[index] for index in (*instance.parts, *instance.holes)]
    masks = shape_masks(used, height=height, width=width, line_width=line_width)
    count = len(instance.parts)
    return without(united(masks[:count]), *masks[count:])
