"""The COCO panoptic format: segment ids in PNGs, segments and categories in JSON.

Format: https://cocodataset.org/#format-data, "4. Panoptic Segmentation".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from base.errors import InputError
from conversion.coco.categories import Category
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
    if int(ids.max()) < ids.size:
        present, dense = np.arange(int(ids.max()) + 1), ids.astype(np.int32)
    else:  # sparse ids: renumber them to keep the tables small
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
