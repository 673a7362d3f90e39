"""COCO instances straight from Labelme files: whole outlines, no split, no stuff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape, read_annotation
from annotation.labelme.instances import Instance, find_instances, instance_outlines
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.files import Size, photo_size
from base.errors import InputError, nearest
from base.files import replacing
from base.memory import keep_freed_memory
from base.progress import track
from conversion.coco.categories import Category, dataset_categories
from conversion.coco.cropped_mask import CroppedMask, union
from conversion.coco.panoptic import category_values
from conversion.coco.rle import encode_cropped
from conversion.painting.measure import measure_outlines
from conversion.painting.raster import shape_masks

AT_ONCE = 16  # photos; measuring outlines together is what makes it fast

_Outlined = tuple[int, list[float], dict[str, int]]  # category, flat x, y pixels, flags


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
    keep_freed_memory()
    config = dataset.config
    categories = dataset_categories(config.things, (), where=str(dataset.root / "dataset.yaml"))
    reader = _Reader(dataset, categories)
    left_out: list[str] = []
    lines = _Lines()
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.write(b'{"annotations":[')  # first, since they need not wait for anything
        files = track(dataset.annotations(), "export")
        while some := list(islice(files, AT_ONCE)):
            photos = []
            for file in some:
                try:
                    photos.append(reader.photo(file))
                except InputError as error:
                    left_out.append(str(error))
            out.writelines(lines.annotations([photo for photo in photos if photo is not None]))
        out.write(b'],"images":[' + b",\n".join(lines.images) + b'],"categories":')
        out.write(msgspec.json.encode(category_values(categories)) + b"}")
    return Exported(len(lines.images), lines.count, tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Photo:
    """One photo and its instances; those in `outlined` are yet to be measured."""

    name: str
    size: Size
    outlined: list[_Outlined]
    others: list[dict[str, Any]]


class _Reader:
    """Annotations as photos with instances."""

    def __init__(self, dataset: Dataset, categories: Sequence[Category]) -> None:
        self._dataset = dataset
        self._index = PhotoIndex(dataset, dataset.photos())
        self._labels = frozenset(dataset.config.labels)
        ids = {category.name: category.id for category in categories}
        things = {label: dataset.config.thing_of(label) for label in self._labels}
        self._category_of = {label: ids[thing] for label, thing in things.items() if thing}
        self._file_of: dict[Path, Path] = {}  # by photo

    def photo(self, file: Path) -> _Photo | None:
        """The photo of an annotation; None for one that is flagged `exclude`.

        Raises InputError for what cannot be read.
        """
        annotation = read_annotation(file, known=self._index.known_words)
        for shape in annotation.shapes:
            if shape.label not in self._labels:
                known = self._dataset.config.labels
                raise InputError(
                    f"{file}: label '{shape.label}' is unknown{nearest(shape.label, known)}"
                )
        photo = self._index.find(file, annotation.image_path).photo
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
        try:
            return _Photo(name, (height, width), *self._instances(annotation.shapes, height, width))
        except InputError as error:  # a shape that covers nothing
            raise InputError(f"{file}: {error}") from None

    def _instances(
        self, shapes: Sequence[Shape], height: int, width: int
    ) -> tuple[list[_Outlined], list[dict[str, Any]]]:
        """Instances of one outline each, and all others, measured."""
        outlined, others = [], []
        for instance in find_instances(shapes, self._dataset.config):
            category = self._category_of.get(instance.label)
            if category is None:
                continue
            polygons = instance_outlines(instance, shapes)
            flags = dict.fromkeys(sorted(instance.flags - {"crowd"}), 1) if instance.flags else {}
            if polygons and len(polygons) == 1:
                outlined.append((category, polygons[0], flags))
                continue
            mask = _pixels(instance, shapes, height, width, self._dataset.config.line_width)
            if found := mask.measure():
                values = {
                    "category_id": category,
                    "segmentation": polygons or encode_cropped(mask, height=height, width=width),
                    "area": found.area,
                    "bbox": [float(value) for value in found.xywh],
                    "iscrowd": int(instance.ignored or "crowd" in instance.flags),
                }
                others.append({**values, **flags})
        return outlined, others


class _Lines:
    """Images and annotations as JSON, both numbered from 1."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self.images: list[bytes] = []
        self.count = 0

    def annotations(self, photos: Sequence[_Photo]) -> Iterator[bytes]:
        """The annotations of photos, each after the first in the file with a comma before it."""
        outlines = [polygon for photo in photos for _, polygon, _ in photo.outlined]
        sizes = [photo.size for photo in photos for _ in photo.outlined]
        measures = iter(measure_outlines(outlines, sizes))
        for photo in photos:
            number, (height, width) = len(self.images) + 1, photo.size
            image = {"id": number, "file_name": photo.name, "width": width, "height": height}
            self.images.append(self._encode(image))
            for category, polygon, flags in photo.outlined:
                area, box = next(measures)
                if area:  # it lies in the picture
                    values = {
                        "category_id": category,
                        "segmentation": [polygon],
                        "area": area,
                        "bbox": box,
                        "iscrowd": 0,
                        **flags,
                    }
                    yield self._line(number, values)
            for values in photo.others:
                yield self._line(number, values)

    def _line(self, image: int, values: dict[str, Any]) -> bytes:
        comma = b",\n" if self.count else b""
        self.count += 1
        return comma + self._encode({"id": self.count, "image_id": image, **values})


def _pixels(
    instance: Instance, shapes: Sequence[Shape], height: int, width: int, line_width: float
) -> CroppedMask:
    """All pixels of an instance, covered or not."""
    used = [shapes[index] for index in (*instance.parts, *instance.holes)]
    masks = shape_masks(used, height=height, width=width, line_width=line_width)
    count = len(instance.parts)
    return union(masks[:count]).without(*masks[count:])
