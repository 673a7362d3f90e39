"""Small data sets that tests create."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from annotation.dataset import Dataset
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from conversion.config import open_valid_dataset

YAML = """\
name: drawn
things: [box, disc]
stuff: [sky-other-merged, road]
stuff_sources: [{label_maps: stuff}]
split: {train: 0.5, test: 0.5, seed: 0}
limits: {few: 0}  # a few photos have few instances of every category
severity: {label-unused: ignore}
"""
SKY, ROAD, BOX, DISC = 187, 149, 201, 202


def square(label: str, x: float, y: float, size: float, group_id: int | None = None) -> Shape:
    corners = ((x, y), (x + size, y), (x + size, y + size), (x, y + size))
    return Shape(label, corners, group_id=group_id)


def draw_photo(root: Path, name: str, shapes: Sequence[Shape], *, stuff: bool = True) -> Path:
    """Write a grey photo of 40x30 pixels, its Labelme file and its label map: sky above road."""
    photo = np.full((30, 40, 3), 128, np.uint8)
    for folder in ("images", "labelme", "stuff"):
        (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / "images" / f"{name}.jpg"), photo)
    up = "../" * (name.count("/") + 1)
    annotation = Annotation(f"{up}images/{name}.jpg", 30, 40, tuple(shapes))
    path = root / "labelme" / f"{name}.json"
    write_annotation(path, annotation)
    if stuff:
        labels = np.full((30, 40), SKY, np.uint8)
        labels[10:] = ROAD
        labels[28:] = 0
        cv2.imwrite(str(root / "stuff" / f"{name}.png"), labels)
    return path


def draw_dataset(root: Path, photos: dict[str, Sequence[Shape]], *, yaml: str = YAML) -> Dataset:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.yaml").write_text(yaml)
    for name, shapes in photos.items():
        draw_photo(root, name, shapes)
    return open_valid_dataset(root)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
