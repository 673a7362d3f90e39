"""Painting one photo: its annotation and stuff become a PNG and parts of the JSON files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from errno import ENAMETOOLONG
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape, read_annotation
from annotation.labelme.instances import instance_outlines
from base.errors import InputError
from base.files import inside, write_bytes
from base.memory import keep_freed_memory
from conversion.building.store import PaintedPhoto
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.instances import instance_values
from conversion.coco.panoptic import Photo
from conversion.coco.panoptic_file import annotation_values, image_values
from conversion.coco.png import VOID, SegmentIds, encode_png
from conversion.coco.rle import encode_cropped
from conversion.config import ConversionConfig
from conversion.painting.merge import Merged, merge
from conversion.stuff.sources import StuffReader


class Digests(NamedTuple):
    """Digests of what a photo is painted from."""

    annotation: bytes
    photo: bytes
    stuff: bytes


@dataclass(frozen=True, slots=True)
class PaintingTask:
    """One photo to paint; `png` is the path of its PNG below `panoptic/`.

    `key` changes whenever the result would change.
    """

    photo: Photo  # without segments; its id is the first of its segment ids
    annotation: str  # below the data set; the photo itself if it has no annotation
    png: str
    key: bytes
    digests: Digests


@dataclass(frozen=True)
class PaintingFailure:
    """A photo that could not be painted, and the reason."""

    photo: str
    key: bytes
    message: str


@dataclass(frozen=True)
class Painter:
    """Paints photos; it can be sent to other processes and machines."""

    dataset: Dataset
    config: ConversionConfig
    categories: tuple[Category, ...]
    stuff: StuffReader
    known: frozenset[str]  # words by which the code page of an annotation is recognized

    def __call__(self, task: PaintingTask) -> PaintedPhoto | PaintingFailure:
        """Paint one photo; return a failure if something is wrong with its files."""
        try:
            return self._paint(task)
        except InputError as error:
            message = str(error)
        except MemoryError:
            message = f"{task.annotation}: not enough memory to paint it"
        except OSError as error:
            if error.errno != ENAMETOOLONG:
                raise
            message = f"{task.annotation}: the name of its PNG '{task.png}' is too long; rename the"
            message += " photo"
        return PaintingFailure(task.photo.file_name, task.key, message)

    def _paint(self, task: PaintingTask) -> PaintedPhoto:
        keep_freed_memory()
        photo, first = task.photo, task.photo.id
        if "\\" in photo.file_name:  # on Windows, it separates folders
            raise InputError(
                f"{task.annotation}: expected no backslash in the name of the photo, found"
                f" '{photo.file_name}'; rename it, and change imagePath"
            )
        shapes: tuple[Shape, ...] = ()
        if task.digests.annotation:  # otherwise, the photo is painted without shapes
            path = self.dataset.root / task.annotation
            shapes = read_annotation(path, known=self.known).shapes
        stuff, refused = self.stuff.read_counted(
            self.dataset.images / photo.file_name, shapes, height=photo.height, width=photo.width
        )
        merged = merge(
            shapes,
            stuff,
            self.categories,
            self.dataset.config,
            least_visible=self.config.least_visible,
            slivers=self.config.slivers,
        )
        segments = tuple(replace(s, id=first - 1 + s.id) for s in merged.segments)
        path = inside(self.dataset.panoptic, task.png, where=task.annotation)
        png = encode_png(merged.ids, _ids_in_set(merged, first))
        write_bytes(path, png)
        photo = replace(photo, segments=segments)
        counts = Counter(segment.category_id for segment in segments)
        return PaintedPhoto(
            photo=photo.file_name,
            key=task.key,
            png=task.png,
            digest=sha256(png).digest(),
            image=msgspec.json.encode(image_values(photo)),
            panoptic=msgspec.json.encode(annotation_values(photo)),
            instances=b",".join(map(msgspec.json.encode, self._instances(photo, merged, shapes))),
            counts=msgspec.json.encode(dict(counts)),
            changes=msgspec.json.encode(_changes(merged, refused)),
        )

    def _instances(
        self, photo: Photo, merged: Merged, shapes: Sequence[Shape]
    ) -> list[dict[str, Any]]:
        """Return the COCO annotations of a photo's things: visible masks, or whole outlines."""
        values = []
        for segment in photo.segments:
            local = segment.id - photo.id + 1
            if local not in merged.whole:
                continue  # stuff
            extent, polygons = (segment.area, segment.bbox), None
            if self.config.instances == "amodal":
                mask = merged.whole[local]
                extent = mask.measure() or extent
                polygons = instance_outlines(merged.instances[local], shapes)
            else:
                mask = CroppedMask.of_segment(merged.ids, local, segment.bbox)
            size = {"height": photo.height, "width": photo.width}
            values.append(
                instance_values(
                    id=segment.id,
                    image_id=photo.id,
                    category_id=segment.category_id,
                    segmentation=polygons or encode_cropped(mask, **size),
                    area=extent[0],
                    bbox=extent[1],
                    iscrowd=segment.iscrowd,
                    attributes=segment.attributes,
                    extra=segment.extra,
                )
            )
        return values


def _ids_in_set(merged: Merged, first: int) -> SegmentIds:
    """Return the ids in the set, which count from `first`, by the ids in the photo."""
    last = max((segment.id for segment in merged.segments), default=0)
    ids = np.arange(first - 1, first + last, dtype=np.uint32)
    ids[0] = VOID
    return ids


def _changes(merged: Merged, refused: int) -> dict[str, Any]:
    """Return what the set's rules changed: things left out, pixels made void or reassigned."""
    changes = {
        "hidden": list(merged.hidden),
        "dropped": list(merged.dropped),
        "dropped_pixels": merged.dropped_pixels,
        "ignored_pixels": merged.ignored_pixels,
        "stuff_pixels_refused": refused,
        "sliver_pixels_moved": merged.slivers.moved,
        "sliver_pixels_void": merged.slivers.voided,
    }
    return {name: value for name, value in changes.items() if value}
