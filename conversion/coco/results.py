"""The COCO results format: the instances of a prediction, each with its score.

Format: https://cocodataset.org/#format-results
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from base.errors import InputError
from base.parsing import read_json, write_json
from conversion.coco.panoptic import PanopticSet
from conversion.coco.rle import Rle

INSTANCES = "instances.json"  # beside the JSON of a prediction


@dataclass(frozen=True)
class Result:
    """One predicted instance; `xywh` is in pixels, `score` in 0..1.

    `rle` is its mask as `conversion.coco.rle` encodes it, or None if only its box is known.
    """

    image_id: int
    category_id: int
    xywh: tuple[float, float, float, float]
    score: float
    rle: dict[str, object] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result in the form of COCO's JSON, which pycocotools accepts."""
        values = {
            "image_id": self.image_id,
            "category_id": self.category_id,
            "bbox": list(self.xywh),
            "score": self.score,
        }
        return values if self.rle is None else {**values, "segmentation": self.rle}


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write results to a JSON file."""
    write_json(path, [result.as_json() for result in results])


class _ResultKeys(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float
    segmentation: Rle


def read_results(path: Path, prediction: PanopticSet) -> list[dict[str, Any]]:
    """Read results in the form that pycocotools accepts.

    Raises InputError if the file is not in this format, or if a result does not belong to a photo
    and a category of `prediction`.
    """
    values = read_json(path)
    try:
        results = msgspec.convert(values, list[_ResultKeys])
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: expected COCO results: {error}") from None
    sizes = {photo.id: (photo.height, photo.width) for photo in prediction.photos}
    categories = {category.id for category in prediction.categories}
    for index, result in enumerate(results):
        _check(result, sizes, categories, where=f"{path}: [{index}]")
    return list(values)


def _check(
    result: _ResultKeys, sizes: dict[int, tuple[int, int]], categories: set[int], *, where: str
) -> None:
    """Raise InputError if a result's photo, category or size is not that of the prediction."""
    if result.image_id not in sizes:
        raise InputError(
            f"{where}.image_id: expected an image of the prediction, found {result.image_id}"
        )
    if result.category_id not in categories:
        raise InputError(
            f"{where}.category_id: expected a category of the prediction,"
            f" found {result.category_id}"
        )
    expected, found = sizes[result.image_id], result.segmentation.size
    if found != expected:
        raise InputError(
            f"{where}.segmentation.size: expected {list(expected)}, found {list(found)}"
        )
