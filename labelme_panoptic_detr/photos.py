"""A photo with its panoptic segments, predicted or true: the segments as objects, and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import SegmentIds
from conversion.coco.results import Result
from evaluation.report.draw import Picture, draw_segments, shrink
from evaluation.report.rows import read_true_photo
from labelme_panoptic_detr.instances import PanopticInstance, draw_boxes
from labelme_panoptic_detr.pictures import Shown

if TYPE_CHECKING:
    import supervision

NOTEBOOK_SIDE = 640  # pixels of the JPEG that a notebook shows


@dataclass(frozen=True)
class PanopticSegment:
    """One segment: a thing, or all pixels of one stuff category.

    `xyxy` is the box of its visible pixels, from the left upper pixel to the one beyond the right
    lower; `area` is their number. `score` (0..1) is None in the ground truth.
    """

    id: int
    category: Category
    score: float | None
    xyxy: tuple[int, int, int, int]
    area: int
    _ids: SegmentIds = field(repr=False, compare=False)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool, True at the segment's pixels."""
        return np.equal(self._ids, self.id)


@dataclass(frozen=True, eq=False, repr=False)
class PanopticPhoto:
    """A photo and its panoptic segments, predicted or true.

    `pixels` is (H, W, 3) uint8 RGB. `ids` is the panoptic map: (H, W) uint32 segment ids, 0 where
    there is no segment. `photo` is its entry in a COCO panoptic set.
    """

    pixels: Picture
    ids: SegmentIds
    photo: Photo
    categories: tuple[Category, ...]
    _results: tuple[Result, ...] | None = None  # of a prediction

    def __repr__(self) -> str:
        height, width = self.ids.shape
        return (
            f"PanopticPhoto({self.name!r}, {width}x{height}, {len(self.photo.segments)} segments)"
        )

    @property
    def name(self) -> str:
        """The file name of the photo, or the number of the array."""
        return self.photo.file_name

    @cached_property
    def segments(self) -> tuple[PanopticSegment, ...]:
        """All segments, in the order of their ids."""
        by_id = {category.id: category for category in self.categories}
        return tuple(
            self._segment(segment, by_id[segment.category_id])
            for segment in sorted(self.photo.segments, key=lambda segment: segment.id)
        )

    def _segment(self, segment: Segment, category: Category) -> PanopticSegment:
        x, y, w, h = segment.bbox
        xyxy = (x, y, x + w, y + h)
        return PanopticSegment(segment.id, category, segment.score, xyxy, segment.area, self.ids)

    @cached_property
    def instances(self) -> tuple[PanopticInstance, ...]:
        """All things with their boxes; those of a prediction with the highest score first."""
        if self._results is None:
            return tuple(
                PanopticInstance(segment.category, segment.score, segment.xyxy)
                for segment in self.segments
                if segment.category.isthing
            )
        by_id = {category.id: category for category in self.categories}
        return tuple(_instance(one, by_id[one.category_id]) for one in self._results)

    def draw(self, *, long_side: int | None = None, boxes: bool = False) -> Picture:
        """Return a new (h, w, 3) uint8 RGB picture of the photo with its segments.

        Each segment has the colour of its category, a border and, if it is large enough, its name.
        `long_side` limits the longer side of the picture, in pixels. With `boxes`, the picture
        shows the boxes of `instances` instead, those of a prediction with a score of 0.5 or more.
        """
        photo = self.pixels if long_side is None else shrink(self.pixels, long_side=long_side)
        if boxes:
            scale = photo.shape[1] / self.pixels.shape[1]
            return draw_boxes(photo, self.instances, scale=scale)
        return draw_segments(photo, self.ids, self.photo.segments, self.categories)

    def _repr_jpeg_(self) -> bytes:
        """Return the drawing as a JPEG, which notebooks show."""
        return Shown(self.draw(long_side=NOTEBOOK_SIDE))._repr_jpeg_()

    def to_supervision(self) -> supervision.Detections:
        """Return the segments as `supervision.Detections`; needs the package `supervision`.

        `class_id` is the category's id, `confidence` the score (1 in the ground truth), and
        `data["class_name"]` the category's name. Things and stuff are both included.
        """
        try:
            import supervision
        except ImportError:
            raise InputError(
                "to_supervision: expected the package supervision, which is not installed; install"
                " it with `pip install supervision`"
            ) from None
        found = self.segments
        if not found:
            return supervision.Detections.empty()
        return supervision.Detections(
            xyxy=np.array([segment.xyxy for segment in found], float),
            mask=np.stack([segment.mask for segment in found]),
            confidence=np.array([1.0 if s.score is None else s.score for s in found]),
            class_id=np.array([segment.category.id for segment in found]),
            data={"class_name": np.array([segment.category.name for segment in found])},
        )


def _instance(result: Result, category: Category) -> PanopticInstance:
    x, y, w, h = result.xywh
    return PanopticInstance(category, result.score, (x, y, x + w, y + h))


def read_panoptic_photo(panoptic: PanopticSet, photo: Photo, images: Path) -> PanopticPhoto:
    """Read a photo of a panoptic set from the folder `images`, and its segment ids.

    Raises InputError if a file cannot be read, or if the photo has another size than in the set.
    """
    pixels, ids = read_true_photo(panoptic, photo, images)
    return PanopticPhoto(pixels, ids, photo, panoptic.categories)
