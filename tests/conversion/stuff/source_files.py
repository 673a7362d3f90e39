"""Helpers that write stuff sources and read stuff from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape
from base.errors import InputError
from conversion.coco.categories import categories_of
from conversion.config import read_conversion_config
from conversion.stuff.sources import StuffReader, open_stuff
from tests.conversion.colours import ids_to_rgb
from tests.drawn import ROAD, draw_dataset

NAME = "name: drawn\nthings: [box, disc]\nstuff: [sky-other-merged, road]\n"
PERSON, RIVER, GRAVEL, WOOD_FLOOR, RUG = 1, 148, 125, 118, 200
H, W = 4, 6


def reader(root: Path, yaml: str, photos: Sequence[str] = ("a",)) -> tuple[Dataset, StuffReader]:
    dataset = draw_dataset(root, {name: [] for name in photos}, yaml=NAME + yaml)
    config = read_conversion_config(dataset)
    return dataset, open_stuff(dataset, config, categories_of(dataset, config))


def stuff(root: Path, yaml: str, *shapes: Shape, name: str = "a.jpg") -> list[list[int]]:
    dataset, opened = reader(root, yaml)
    return opened.read(dataset.images / name, shapes, height=H, width=W).tolist()


def problem(root: Path, yaml: str) -> str:
    with pytest.raises(InputError) as error:
        stuff(root, yaml)
    return str(error.value)


def grey(path: Path, rows: Any, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8))
    if mode == "P":
        colors = [0, 0, 0, 128, 64, 128, 70, 130, 180, 9, 9, 9]
        image.putpalette(colors + [0] * (768 - len(colors)))
    image.save(path)


def halves(top: int, bottom: int, left: int | None = None) -> list[list[int]]:
    """Two rows each; the first column may differ."""
    rows = [[top] * W] * 2 + [[bottom] * W] * 2
    return rows if left is None else [[left, *row[1:]] for row in rows]


def rgb(path: Path, rows: list[list[int]], color_of: dict[int, tuple[int, int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[color_of[v] for v in row] for row in rows], np.uint8)).save(path)


def panoptic(
    path: Path, rows: list[list[int]], segments: list[dict[str, Any]], **more: Any
) -> Path:
    """A set with one photo, a.jpg, whose ids are `rows`; its PNG is in the folder of that name."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "one.png"), ids_to_rgb(np.array(rows, np.uint32))[..., ::-1])
    value = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": len(rows), "width": len(rows[0])}],
        "annotations": [{"image_id": 7, "file_name": "one.png", "segments_info": segments}],
        "categories": [
            {"id": PERSON, "name": "person", "isthing": 1},
            {"id": ROAD, "name": "road", "isthing": 0},
            {"id": 3, "name": "sky-other-merged", "isthing": 0},  # an id of its own
            {"id": RIVER, "name": "river", "isthing": 0},
        ],
    }
    path.write_text(json.dumps({**value, **more}))
    return path
