"""A small drawn panoptic data set: circles and squares on grass below a sky."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from base.parsing import write_json
from conversion.coco.categories import dataset_categories
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure
from conversion.coco.panoptic_file import write_panoptic
from conversion.coco.png import write_segment_ids

CATEGORIES = dataset_categories(
    ["circle", "square"], ["grass-merged", "sky-other-merged"], where=""
)
GRASS, SKY, CIRCLE, SQUARE = (c.id for c in CATEGORIES)
COLORS = {GRASS: (60, 140, 60), SKY: (230, 190, 140), CIRCLE: (40, 40, 220), SQUARE: (220, 60, 40)}


def draw_set(
    folder: Path, *, train: int = 4, test: int = 2, width: int = 96, height: int = 64
) -> Path:
    """Write a built data set with this number of photos per split; return its folder."""
    rng = np.random.default_rng(7)
    (folder / "annotations").mkdir(parents=True)
    for split, count in (("train", train), ("test", test)):
        json_path = folder / "annotations" / f"panoptic_{split}.json"
        pngs = folder / f"panoptic_{split}"
        photos = tuple(
            _draw_photo(folder / split, pngs, rng, index + 1, width, height)
            for index in range(count)
        )
        write_panoptic(PanopticSet(json_path, pngs, CATEGORIES, photos))
    write_json(folder / "manifest.json", {"seed": 7, "train": train, "test": test})
    return folder


def _draw_photo(
    images: Path, pngs: Path, rng: np.random.Generator, index: int, width: int, height: int
) -> Photo:
    ids = np.zeros((height, width), np.int32)
    horizon = int(rng.integers(height // 4, height // 2))
    ids[:horizon], ids[horizon:] = 1, 2
    category_of = {1: SKY, 2: GRASS}
    for segment_id in range(3, 3 + int(rng.integers(1, 4))):
        x, y = int(rng.integers(10, width - 10)), int(rng.integers(10, height - 10))
        category_of[segment_id] = CIRCLE if rng.random() < 0.5 else SQUARE
        if category_of[segment_id] == CIRCLE:
            cv2.circle(ids, (x, y), 9, segment_id, -1)
        else:
            cv2.rectangle(ids, (x - 8, y - 8), (x + 8, y + 8), segment_id, -1)
    return write_photo(images, pngs, index, ids.astype(np.uint32), category_of)


def write_photo(
    images: Path, pngs: Path, index: int, ids: np.ndarray, category_of: dict[int, int]
) -> Photo:
    """Colour (H, W) segment ids by category; write them as a photo and as a PNG of ids."""
    height, width = ids.shape
    bgr = np.zeros((height, width, 3), np.uint8)
    for segment_id, category_id in category_of.items():
        bgr[ids == segment_id] = COLORS[category_id]
    name = f"photo{index}"
    images.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(images / f"{name}.png"), bgr)
    write_segment_ids(pngs / f"{name}.png", ids)
    segments = tuple(
        Segment(segment_id, category_of[segment_id], area, box)
        for segment_id, (area, box) in measure(ids).items()
    )
    return Photo(index, f"{name}.png", width, height, f"{name}.png", segments)
