"""COCO instances directly from Labelme files: whole outlines, without splits and stuff."""

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
from annotation.labelme.proposals import PROPOSED
from annotation.photos.files import Size, photo_size
from base.errors import InputError, nearest
from base.files import replacing
from base.memory import keep_freed_memory
from base.progress import track
from conversion.coco.categories import Category, category_values, dataset_categories
from conversion.coco.cropped_mask import CroppedMask, Extent, union
from conversion.coco.file import CROWDS_ARE_CROWDS, CROWDS_KEY
from conversion.coco.instances import instance_values
from conversion.coco.rle import encode_cropped
from conversion.exporting.kept_ids import (
    KeptIds,
    SourceIds,
    annotation_id,
    image_id,
    read_source_ids,
    with_source_ids,
)
from conversion.painting.measure import measure_outlines
from conversion.painting.raster import shape_masks

AT_ONCE = 16  # photos whose outlines are measured together, which is fast


@dataclass(frozen=True)
class Exported:
    """Numbers of photos and instances in the file, and why annotations were left out."""

    photos: int
    instances: int
    left_out: tuple[str, ...]


def export_instances(dataset: Dataset, path: Path) -> Exported:
    """Write the COCO instances of all annotations to `path`; damaged annotations are left out.

    Shapes with the same label and `group_id` are one instance, without their holes. Areas and boxes
    are those of pycocotools' pixels. Polygons are written as polygons, other masks as RLE. Images,
    annotations and categories of an imported set keep their ids.
    """
    keep_freed_memory()
    config = dataset.config
    source = read_source_ids(dataset)
    own = dataset_categories(config.things, (), where=str(dataset.root / "dataset.yaml"))
    categories = with_source_ids(own, source)
    reader = _Reader(dataset, categories)
    left_out: list[str] = []
    lines = _Lines(source)
    with replacing(path) as temporary, temporary.open("wb") as out:
        info = msgspec.json.encode({CROWDS_KEY: CROWDS_ARE_CROWDS})
        out.write(b'{"info":' + info + b',"annotations":[')  # `images` are known last
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
class _Outline:
    """An instance with one outline, flat x, y in pixels, whose area and box are not known yet."""

    category_id: int
    polygon: list[float]
    attributes: tuple[str, ...]
    source_id: object


@dataclass(frozen=True, slots=True)
class _Measured:
    """Any other instance, as polygons or RLE."""

    category_id: int
    segmentation: list[list[float]] | dict[str, object]
    attributes: tuple[str, ...]
    iscrowd: bool
    extent: Extent
    source_id: object


@dataclass(frozen=True, slots=True)
class _ExportedPhoto:
    """One photo with its instances; `source_id` is its id in the file that was imported."""

    name: str
    source_id: object
    size: Size
    outlines: list[_Outline]
    others: list[_Measured]


class _Reader:
    """Reads annotations as photos with instances."""

    def __init__(self, dataset: Dataset, categories: Sequence[Category]) -> None:
        self._dataset = dataset
        self._index = PhotoIndex(dataset, dataset.photos())
        self._labels = frozenset(dataset.config.labels)
        ids = {category.name: category.id for category in categories}
        things = {label: dataset.config.thing_of(label) for label in self._labels}
        self._category_of = {label: ids[thing] for label, thing in things.items() if thing}
        self._file_of: dict[Path, Path] = {}  # by photo

    def photo(self, file: Path) -> _ExportedPhoto | None:
        """Read the photo of an annotation; return None if it has the flag `exclude`.

        Raises InputError if something is wrong with the annotation.
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
        if annotation.flags.get(PROPOSED):
            raise InputError(f"{file}: contains proposals of a model, which nobody has checked yet")
        height, width = annotation.height, annotation.width
        if not height or not width:
            height, width = photo_size(photo)
        name = str(photo)[len(str(self._dataset.images)) + 1 :]
        try:
            outlines, others = self._instances(annotation.shapes, height, width)
        except InputError as error:  # a shape that covers nothing
            raise InputError(f"{file}: {error}") from None
        return _ExportedPhoto(name, image_id(annotation), (height, width), outlines, others)

    def _instances(
        self, shapes: Sequence[Shape], height: int, width: int
    ) -> tuple[list[_Outline], list[_Measured]]:
        """Return the instances with one outline each, and all others."""
        outlines, others = [], []
        for instance in find_instances(shapes, self._dataset.config):
            category = self._category_of.get(instance.label)
            if category is None:
                continue
            polygons = instance_outlines(instance, shapes)
            attributes = tuple(sorted(instance.flags - {"crowd"})) if instance.flags else ()
            source_id = annotation_id(shapes[instance.parts[0]])
            if polygons and len(polygons) == 1:
                outlines.append(_Outline(category, polygons[0], attributes, source_id))
                continue
            mask = _pixels(instance, shapes, height, width, self._dataset.config.line_width)
            if extent := mask.measure():
                segmentation = polygons or encode_cropped(mask, height=height, width=width)
                iscrowd = instance.ignored or "crowd" in instance.flags
                others.append(
                    _Measured(category, segmentation, attributes, iscrowd, extent, source_id)
                )
        return outlines, others


class _Lines:
    """Encodes images and annotations as JSON, with the ids of their source where they have one."""

    def __init__(self, source: SourceIds) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._images = KeptIds(source.last_image)
        self._annotations = KeptIds(source.last_annotation)
        self.images: list[bytes] = []
        self.count = 0

    def annotations(self, photos: Sequence[_ExportedPhoto]) -> Iterator[bytes]:
        """Yield the annotations of photos, with a comma before all except the first in the file."""
        polygons = [outline.polygon for photo in photos for outline in photo.outlines]
        sizes = [photo.size for photo in photos for _ in photo.outlines]
        extents = iter(measure_outlines(polygons, sizes))
        for photo in photos:
            number, (height, width) = self._images.take(photo.source_id), photo.size
            image = {"id": number, "file_name": photo.name, "width": width, "height": height}
            self.images.append(self._encode(image))
            for outline in photo.outlines:
                area, box = next(extents)
                if area:  # otherwise, it is outside the picture
                    values = instance_values(
                        id=self._annotations.take(outline.source_id),
                        image_id=number,
                        category_id=outline.category_id,
                        segmentation=[outline.polygon],
                        area=area,
                        bbox=box,
                        iscrowd=False,
                        attributes=outline.attributes,
                    )
                    yield self._line(values)
            for other in photo.others:
                values = instance_values(
                    id=self._annotations.take(other.source_id),
                    image_id=number,
                    category_id=other.category_id,
                    segmentation=other.segmentation,
                    area=other.extent.area,
                    bbox=[float(value) for value in other.extent.xywh],
                    iscrowd=other.iscrowd,
                    attributes=other.attributes,
                )
                yield self._line(values)

    def _line(self, values: dict[str, Any]) -> bytes:
        comma = b",\n" if self.count else b""
        self.count += 1
        return comma + self._encode(values)


def _pixels(
    instance: Instance, shapes: Sequence[Shape], height: int, width: int, line_width: float
) -> CroppedMask:
    """Return all pixels of an instance, whether visible or not."""
    used = [shapes[index] for index in (*instance.parts, *instance.holes)]
    masks = shape_masks(used, height=height, width=width, line_width=line_width)
    count = len(instance.parts)
    return union(masks[:count]).without(*masks[count:])
