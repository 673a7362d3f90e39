"""A set with findings of many rules, whose files look old."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset
from annotation.labelme.annotation import Annotation, read_annotation, write_annotation
from annotation.rules import annotations
from tests.drawn import YAML, draw_dataset, square

BOX, DISC, TYPO = square("box", 2, 2, 5), square("disc", 20, 8, 6), square("bxo", 2, 2, 5)
PHOTOS = {
    "a": [BOX, DISC],
    "b": [TYPO],
    "c": [BOX, BOX, square("box", 3, 2, 5)],
    "d": [square("box", 36, 2, 9), square("box", 2, 2, 5, group_id=1)],
    "sub/e": [DISC],
    "gone": [DISC],
    "broken": [],
    "elsewhere": [BOX],
}


def noise(seed: int, quality: int = 95) -> bytes:
    """A photo of 40x30 pixels as JPEG."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    photo = cv2.resize(small, (40, 30), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def draw_mixed(root: Path) -> Dataset:
    """A set with findings of many rules, all of whose files look old."""
    dataset = draw_dataset(root, PHOTOS, yaml=f"{YAML}ungrouped: [box]\n")
    for number, name in enumerate(PHOTOS):
        (dataset.images / f"{name}.jpg").write_bytes(noise(number))
    (dataset.images / "gone.jpg").unlink()
    (dataset.images / "undrawn.jpg").write_bytes(noise(20))
    (dataset.labelme / "broken.json").write_text('{"shapes": [')
    edit(dataset, "elsewhere", image_path="C:\\photos\\elsewhere.jpg")
    copy = base64.b64encode(noise(2)).decode()
    edit(dataset, "c", image_data=copy)
    settle(dataset)
    return dataset


def settle(dataset: Dataset) -> None:
    """Make all files look old; new files are read again in any case."""
    old = time.time() - 100
    for path in dataset.root.rglob("*"):
        if path.is_file() and ".cache" not in path.parts:
            os.utime(path, (old, old))


def edit(dataset: Dataset, name: str, **changes: object) -> None:
    path = dataset.labelme / f"{name}.json"
    write_annotation(path, replace(read_annotation(path), **changes))  # type: ignore[arg-type]


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the Labelme files that checks read from now on."""
    names: list[str] = []

    def read(path: Path, **options: object) -> Annotation:
        names.append(path.name)
        return read_annotation(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(annotations, "read_annotation", read)
    return names
