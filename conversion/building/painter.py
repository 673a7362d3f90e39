"""One photo on its way into the set: read, merged, written as a PNG and pieces of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from errno import ENAMETOOLONG
from typing import Any

import msgspec
import numpy as np

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape, read_annotation
from annotation.labelme.instances import instance_outlines
from base.errors import InputError
from base.files import inside, write_bytes
from base.memory import keep_freed_memory
from conversion.building.store import Row
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.panoptic import Photo, Segment, annotation_values, image_values
from conversion.coco.png import VOID, SegmentIds, encode_png
from conversion.coco.rle import encode_cropped
from conversion.config import ConversionConfig
from conversion.painting.merge import Merged, merge
from conversion.stuff.sources import StuffReader


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to be painted; `png` is where its PNG goes, below `panoptic/`."""

    photo: Photo  # without segments; its id is the first of its segment ids
    annotation: str  # below the data set
    png: str
    key: bytes
    made_of: tuple[bytes, bytes, bytes]  # digests of the annotation, the photo and its stuff


@dataclass(frozen=True)
class Failure:
    """A photo that could not be painted, and why."""

    photo: str
    key: bytes
    message: str


@dataclass(frozen=True)
class Painter:
    """All that painting needs to know of the set; it goes to other processes and machines."""

    dataset: Dataset
    config: ConversionConfig
    categories: tuple[Category, ...]
    stuff: StuffReader
    known: frozenset[str]  # words that tell code pages apart

    def __call__(self, task: Task) -> Row | Failure:
        """Paint one photo; a mistake in its files is returned, not raised."""
        try:
            return self._paint(task)
        except InputError as error:
            said = str(error)
        except MemoryError:
            said = f"{task.annotation}: memory does not suffice to paint it"
        except OSError as error:
            if error.errno != ENAMETOOLONG:
                raise
            said = f"{task.annotation}: too long a name for its PNG, '{task.png}'; rename the photo"
        return Failure(task.photo.file_name, task.key, said)

    def _paint(self, task: Task) -> Row:
        keep_freed_memory()
        photo, first = task.photo, task.photo.id
        if "\\" in photo.file_name:  # elsewhere it would be a folder
            raise InputError(
                f"{task.annotation}: its photo '{photo.file_name}' has a backslash in its name;"
                " rename it, and imagePath"
            )
        shapes = read_annotation(self.dataset.root / task.annotation, known=self.known).shapes
        stuff, refused = self.stuff.look(
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
        write_bytes(path, encode_png(merged.ids, _ids_in_set(merged, first)))
        status, photo = path.stat(), replace(photo, segments=segments)
        counts: dict[int, int] = {}
        for segment in segments:
            counts[segment.category_id] = counts.get(segment.category_id, 0) + 1
        return Row(
            photo=photo.file_name,
            key=task.key,
            png=task.png,
            size=status.st_size,
            mtime=status.st_mtime_ns,
            image=msgspec.json.encode(image_values(photo)),
            panoptic=msgspec.json.encode(annotation_values(photo)),
            instances=b",".join(map(msgspec.json.encode, self._instances(photo, merged, shapes))),
            counts=msgspec.json.encode(counts),
            changes=msgspec.json.encode(_changes(merged, refused)),
        )

    def _instances(
        self, photo: Photo, merged: Merged, shapes: Sequence[Shape]
    ) -> list[dict[str, Any]]:
        """COCO instance annotations of a photo's things: visible masks, or whole polygons."""
        values = []
        for segment in photo.segments:
            local = segment.id - photo.id + 1
            if local not in merged.whole:
                continue  # stuff
            mask, polygons = CroppedMask.of_segment(merged.ids, local, segment.bbox), None
            if self.config.instances == "amodal":
                mask = merged.whole[local]
                segment = _amodal(segment, mask)
                polygons = instance_outlines(merged.instances[local], shapes)
            size = {"height": photo.height, "width": photo.width}
            values.append(
                {
                    **segment.extra,
                    "id": segment.id,
                    "image_id": photo.id,
                    "category_id": segment.category_id,
                    "segmentation": polygons or encode_cropped(mask, **size),
                    "area": segment.area,
                    "bbox": segment.bbox,
                    "iscrowd": int(segment.iscrowd),
                    **dict.fromkeys(segment.attributes, 1),
                }
            )
        return values


def _ids_in_set(merged: Merged, first: int) -> SegmentIds:
    """Ids in the set by the photo's own; they count from `first`."""
    last = max((segment.id for segment in merged.segments), default=0)
    ids = np.arange(first - 1, first + last, dtype=np.uint32)
    ids[0] = VOID
    return ids


def _amodal(segment: Segment, whole: CroppedMask) -> Segment:
    """Return the segment with the area and box of all its pixels, covered or not."""
    found = whole.measure()
    assert found is not None  # some of the pixels are visible
    return replace(segment, area=found.area, bbox=found.xywh)


def _changes(merged: Merged, refused: int) -> dict[str, Any]:
    """What became of drawn things and of pixels by the set's rules; nothing where nothing did."""
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
