"""The COCO instances format: one annotation for each thing, with its outline or its mask.

Format: https://cocodataset.org/#format-data, "1. Object Detection".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from conversion.coco.links import Id
from conversion.coco.rle import Rle

Coordinate = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
Segmentation = list[list[Coordinate]] | Rle | None  # polygons as flat x, y, or RLE


class InstanceKeys(msgspec.Struct):
    """The keys of an annotation from another program that determine its pixels."""

    category_id: Id | float  # 1.0 equals 1
    segmentation: Segmentation = None
    bbox: list[Coordinate | None] | None = None
    iscrowd: float | bool | None = 0

    @property
    def xywh(self) -> list[float] | None:
        """The bbox; None if it is missing or has missing numbers."""
        numbers = [number for number in self.bbox or () if number is not None]
        return numbers if self.bbox and len(numbers) == len(self.bbox) else None


def instance_values(
    *,
    id: int,
    image_id: int,
    category_id: int,
    segmentation: Sequence[Sequence[float]] | Mapping[str, object],
    area: int,
    bbox: Sequence[float],
    iscrowd: bool,
    attributes: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an annotation in the form of COCO's JSON.

    `bbox` is xywh in pixels. Each of `attributes` becomes a key with the value 1; `extra` are keys
    that an import kept.
    """
    return {
        **(extra or {}),
        "id": id,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        "area": area,
        "bbox": bbox,
        "iscrowd": int(iscrowd),
        **dict.fromkeys(attributes, 1),
    }
