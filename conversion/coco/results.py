"""COCO's results format: the instances that a prediction found, each with its score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from base.errors import InputError
from base.parsing import read_json
from conversion.coco.panoptic import PanopticSet
from conversion.coco.rle import Rle


class _ResultKeys(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float
    segmentation: Rle


def read_results(path: Path, prediction: PanopticSet) -> list[dict[str, Any]]:
    """Read the results as pycocotools takes them; InputError where one is not of `prediction`."""
    values = read_json(path)
    try:
        results = msgspec.convert(values, list[_ResultKeys])
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: is no file of COCO results: {error}") from None
    sizes = {photo.id: (photo.height, photo.width) for photo in prediction.photos}
    categories = {category.id for category in prediction.categories}
    for index, result in enumerate(results):
        _check(result, sizes, categories, where=f"{path}: [{index}]")
    return list(values)


def _check(
    result: _ResultKeys, sizes: dict[int, tuple[int, int]], categories: set[int], *, where: str
) -> None:
    """InputError where a result is of no photo or category of its prediction, or of other size."""
    if result.image_id not in sizes:
        raise InputError(
            f"{where}.image_id: expected an image of the prediction, got {result.image_id}"
        )
    if result.category_id not in categories:
        raise InputError(
            f"{where}.category_id: expected one of the prediction, got {result.category_id}"
        )
    expected, got = sizes[result.image_id], result.segmentation.size
    if got != expected:
        raise InputError(f"{where}.segmentation.size: expected {list(expected)}, got {list(got)}")
