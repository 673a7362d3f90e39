"""Helpers that write COCO files and read what was imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from annotation.labelme.annotation import Shape, read_annotation
from base.errors import InputError
from conversion.importing.importer import Imported, import_coco
from tests.conversion.colours import ids_to_rgb

FACADES = Path(__file__).parents[4] / "shared" / "data" / "facades"
CATEGORY = {"id": 1, "name": "box", "supercategory": ""}
TRIANGLE = [2.5, 3.25, 12, 3.25, 7.125, 11]


def photo(path: Path, *, height: int = 30, width: int = 40, grey: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), grey, np.uint8))
    return path


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def image(number: int, file_name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "width": 40, "height": 30, **more}


def instance(number: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    values = {"id": number, "image_id": 1, "category_id": 1, "segmentation": segmentation}
    return {**values, "area": 1.0, "bbox": [0, 0, 1, 1], "iscrowd": 0, **more}


def coco(folder: Path, *annotations: dict[str, Any], **members: Any) -> Path:
    """A file with one photo, a.jpg, beside it."""
    photo(folder / "a.jpg")
    value = {"images": [image(1, "a.jpg")], "annotations": annotations, "categories": [CATEGORY]}
    return write(folder / "coco.json", {**value, **members})


def notes(done: Imported, text: str) -> list[str]:
    """The lines of an import that contain a text."""
    return [line for line in done.lines() if text in line]


def shapes_in(done: Imported) -> int:
    return sum(one.shapes for one in done.written)


def present_in(done: Imported) -> int:
    return sum(one.present for one in done.written)


def shapes_of(root: Path, name: str = "a") -> tuple[Shape, ...]:
    return read_annotation(root / "labelme" / f"{name}.json").shapes


def rle(rows: list[str], *, compressed: bool) -> dict[str, Any]:
    """An RLE of 40x30 pixels whose upper left corner is drawn: # is set."""
    mask = np.zeros((30, 40), np.uint8, order="F")
    for y, row in enumerate(rows):
        mask[y, : len(row)] = [c == "#" for c in row]
    if compressed:
        return {"size": [30, 40], "counts": coco_mask.encode(mask)["counts"].decode()}
    flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
    edges = np.flatnonzero(np.diff(flat)).tolist()
    runs = np.diff([0, *edges]).tolist()
    assert sum(runs) == 1200
    return {"size": [30, 40], "counts": runs}


def problem(source: Path, root: Path, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        import_coco(source, root, **options)
    return str(error.value)


def panoptic(folder: Path, ids: np.ndarray, segments: Any, categories: Any) -> Path:
    """A panoptic set of one photo in COCO's own layout."""
    photo(folder / "val/a.jpg")
    png = folder / "annotations/panoptic_val/a.png"
    png.parent.mkdir(parents=True)
    cv2.imwrite(str(png), ids_to_rgb(ids.astype(np.uint32))[..., ::-1])
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
    value = {"images": [image(1, "a.jpg")], "annotations": [annotation], "categories": categories}
    return write(folder / "annotations/panoptic_val.json", value)


def segment(number: int, category: int, **more: Any) -> dict[str, Any]:
    values = {"id": number, "category_id": category, "area": 1, "bbox": [0, 0, 1, 1]}
    return {**values, "iscrowd": 0, **more}


PANOPTIC = [
    {"id": 5, "name": "box", "isthing": 1, "color": [1, 2, 3]},
    {"id": 6, "name": "road", "isthing": 0},  # COCO's is 149
    {"id": 7, "name": "sky-other-merged", "isthing": 0},
    {"id": 8, "name": "moon-dust", "isthing": 0},  # COCO lacks it, but it is not used
]


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
