"""The prediction for one photo, in the formats of the output files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment, measure
from conversion.coco.png import SegmentIds
from conversion.coco.results import Result
from conversion.coco.rle import encode_mask
from detr.prediction.postprocess import Region

MAX_INSTANCES = 100  # per photo


@dataclass(frozen=True)
class DecodedPhoto:
    """A photo in memory; `file_name` is relative to the folder of photos."""

    id: int
    file_name: str
    pixels: NDArray[np.uint8]  # (H, W, 3) BGR

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class PhotoPrediction:
    """The output for one photo: its segments, (H, W) uint32 segment ids, and instances."""

    photo: Photo
    pixels: NDArray[np.uint8]  # (H, W, 3) BGR
    ids: SegmentIds
    instances: list[Result]


def to_prediction(
    photo: DecodedPhoto, ids: SegmentIds, regions: list[Region], instances: list[Result]
) -> PhotoPrediction:
    """Combine the segments of a photo, whose ids are 1, 2, ..., and its instances."""
    height, width = photo.size
    measured = measure(ids)  # area and box of the pixels of each segment
    segments = tuple(
        Segment(index, region.category.id, *measured[index], score=round(region.score, 4))
        for index, region in enumerate(regions, start=1)
    )
    entry = Photo(photo.id, photo.file_name, width, height, "", segments)
    return PhotoPrediction(entry, photo.pixels, ids, instances)


def to_result(
    photo: DecodedPhoto,
    category: Category,
    score: float,
    *,
    mask: NDArray[np.bool_],
    xywh: tuple[float, float, float, float],
) -> Result:
    """Return one instance, with its mask (H, W) and numbers rounded to keep the file small."""
    x, y, w, h = xywh
    return Result(
        image_id=photo.id,
        category_id=category.id,
        xywh=(round(x, 2), round(y, 2), round(w, 2), round(h, 2)),
        score=round(score, 4),
        rle=encode_mask(mask),
    )
