"""Small sets to build several times, and helpers that read a built set."""

from __future__ import annotations

import os
import time
from pathlib import Path

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape
from conversion.building.build import convert
from conversion.coco.panoptic_file import read_panoptic
from tests.drawn import YAML, draw_dataset, square

SPLITS = ("train", "test")


def shapes(number: int) -> list[Shape]:
    return [square("box", number % 30, 3, 6), square("disc", 20, number % 20, 8)]


def draw(root: Path, count: int, yaml: str = YAML) -> Dataset:
    return draw_dataset(root, {f"p{n:03}": shapes(n) for n in range(count)}, yaml=yaml)


def tree(dataset: Dataset) -> dict[str, bytes]:
    files = (path for path in dataset.panoptic.rglob("*") if path.is_file())
    return {path.relative_to(dataset.panoptic).as_posix(): path.read_bytes() for path in files}


def tree_of_fresh(root: Path, count: int) -> dict[str, bytes]:
    dataset = draw(root, count)
    convert(dataset)
    return tree(dataset)


def pngs(dataset: Dataset) -> dict[str, int]:
    """Time at which each PNG was written."""
    return {p.name: p.stat().st_mtime_ns for p in dataset.panoptic.glob("panoptic_*/*.png")}


def settle(dataset: Dataset) -> None:
    """Make all files look old: files written a moment ago are always read again."""
    old = time.time() - 100
    for path in dataset.root.rglob("*"):
        if path.is_file() and dataset.panoptic not in path.parents:
            os.utime(path, (old, old))


def photos_of(dataset: Dataset) -> dict[str, set[str]]:
    read = {s: read_panoptic(dataset.panoptic / f"annotations/panoptic_{s}.json") for s in SPLITS}
    return {split: {photo.file_name for photo in one.photos} for split, one in read.items()}


def ids_of(dataset: Dataset) -> dict[int, str]:
    """The photo of every image id and segment id; each id appears once."""
    found: dict[int, str] = {}
    images = set()
    for split in SPLITS:
        for photo in read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json").photos:
            assert photo.id not in images
            images.add(photo.id)
            for segment in photo.segments:
                assert found.setdefault(segment.id, photo.file_name) == photo.file_name
    assert 0 not in found
    return found
