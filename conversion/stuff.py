"""Stuff sources: which stuff category lies at each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from annotation.dataset import Dataset
from annotation.files import InputError
from conversion.categories import Category, coco_categories
from conversion.panoptic import VOID


def label_map_paths(dataset: Dataset, photo: Path) -> list[Path]:
    """Label maps of one photo that exist, in the order of the set's stuff sources.

    A photo `images/a/b.jpg` has its map at `<folder>/a/b.png`.
    """
    relative = photo.relative_to(dataset.images).with_suffix(".png").as_posix()
    where = str(dataset.root / "dataset.yaml")
    folders = [
        dataset.inside(source.label_maps, where=f"{where}: stuff_sources[{index}]")
        for index, source in enumerate(dataset.config.stuff_sources)
    ]
    return [folder / relative for folder in folders if (folder / relative).is_file()]


def read_stuff(
    dataset: Dataset, photo: Path, categories: tuple[Category, ...], *, height: int, width: int
) -> NDArray[np.uint16]:
    """(H, W) uint16 stuff category ids of one photo, 0 where no source speaks.

    The first source that speaks for a pixel wins. COCO categories that are not among the set's
    stuff become void. Raises InputError for a map of another size or with values that COCO lacks.
    """
    result = np.zeros((height, width), np.uint16)
    stuff = [c.id for c in categories if not c.isthing]
    for path in label_map_paths(dataset, photo):
        labels = _read_label_map(path, height=height, width=width)
        result = np.where(result == VOID, np.where(np.isin(labels, stuff), labels, VOID), result)
    return result


def _read_label_map(path: Path, *, height: int, width: int) -> NDArray[np.uint16]:
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)  # palette images give their indices, not their colours
    except (OSError, UnidentifiedImageError):
        raise InputError(f"{path}: cannot be read as a PNG") from None
    if labels.shape != (height, width):
        raise InputError(
            f"{path}: expected one channel of {width}x{height} pixels as the photo,"
            f" got (height, width, ...) {labels.shape}"
        )
    known = {VOID, *(c.id for c in coco_categories())}
    if strange := sorted(set(np.unique(labels).tolist()) - known):
        raise InputError(f"{path}: values must be COCO panoptic ids, got {strange[:5]}")
    return labels.astype(np.uint16)


@dataclass(frozen=True)
class StuffReader:
    dataset: Dataset
    categories: tuple[Category, ...]

    def inputs(self, photo: Path) -> tuple[Path | str, ...]:
        return tuple(label_map_paths(self.dataset, photo))

    def read(self, photo: Path, shapes: Any, *, height: int, width: int) -> NDArray[np.uint16]:
        return read_stuff(self.dataset, photo, self.categories, height=height, width=width)


def open_stuff(dataset: Dataset, categories: tuple[Category, ...]) -> StuffReader:
    return StuffReader(dataset, categories)
