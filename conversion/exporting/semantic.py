"""Semantic PNGs: `<split>/<photo>.png` with the class of each pixel, and `classes.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import inside, write_bytes
from base.parsing import write_json
from conversion.coco.categories import Category
from conversion.coco.png import VOID
from conversion.exporting.splits import Splits, track_photos
from conversion.stuff.meanings import UNKNOWN, translate

VOID_CLASS = 255


def write_semantic(dataset: Dataset, splits: Splits, out: Path) -> None:
    """Write PNGs of classes 0..N-1 in the order of the category ids, with 255 for void.

    Raises InputError if there are too many categories, or if a PNG has ids without a segment.
    """
    categories = next(iter(splits.values())).categories
    class_of = {c.id: number for number, c in enumerate(categories)}
    if len(categories) > VOID_CLASS:
        found = len(categories)
        raise InputError(f"{dataset.root}: expected at most 255 categories, found {found}")
    for one in track_photos(splits):
        photo, where = one.photo, str(one.panoptic.json_path)
        classes = {s.id: class_of[s.category_id] for s in photo.segments}
        pixels = translate(one.panoptic.segment_ids(photo), {VOID: VOID_CLASS, **classes})
        if pixels.max() == UNKNOWN:
            raise InputError(f"{where}: {photo.png_name} has ids without a segment")
        path = inside(out / one.split, photo.png_name, where=where)
        write_bytes(path, cv2.imencode(".png", pixels.astype(np.uint8))[1].tobytes())
    write_json(out / "classes.json", _class_values(categories), indent=2)


def _class_values(categories: Sequence[Category]) -> dict[str, object]:
    classes = [
        {
            "id": number,
            "name": c.name,
            "category_id": c.id,
            "isthing": int(c.isthing),
            "color": c.color,
        }
        for number, c in enumerate(categories)
    ]
    return {"classes": classes, "void": VOID_CLASS}
