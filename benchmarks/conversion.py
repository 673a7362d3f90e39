"""Speed and memory of conversion beside the usual tools, on one core, side by side in one run.

Inputs come from a seed: 500 photos of 640x480 and 60 of 1920x1080 with 7 shapes and a stuff map.
CPU times are medians over the rounds; the tools take turns, so that a busy machine slows all.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.dataset import open_dataset
from annotation.labelme import Annotation, Shape, write_annotation

YAML = """\
name: bench
things: [box, disc, post]
stuff: [sky-other-merged, road, grass-merged]
stuff_sources: [{label_maps: stuff}]
limits: {few: 0, outlier: 1000}
"""
STUFF = (187, 149, 193)
SETS = {"640x480": (640, 480, 500), "1920x1080": (1920, 1080, 60)}
SHAPES, VERTICES, ROUNDS = 7, 15, 5


def make_set(root: Path, width: int, height: int, count: int) -> None:
    """Photos of noise, drawn outlines of things, wavy bands of stuff."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labelme", "stuff"):
        (root / folder).mkdir(parents=True)
    (root / "dataset.yaml").write_text(YAML)
    photo = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    for number in range(count):
        name = f"{number:05d}"
        if number == 0:
            cv2.imwrite(str(root / "images/00000.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 30])
        else:
            os.link(root / "images/00000.jpg", root / f"images/{name}.jpg")
        shapes = tuple(_shape(rng, width, height) for _ in range(SHAPES))
        annotation = Annotation(f"../images/{name}.jpg", height, width, shapes)
        write_annotation(root / f"labelme/{name}.json", annotation)
        cv2.imwrite(str(root / f"stuff/{name}.png"), _bands(rng, width, height))


def _shape(rng: np.random.Generator, width: int, height: int) -> Shape:
    centre = rng.uniform(0.1, 0.9, 2) * (width, height)
    angles = np.sort(rng.uniform(0, 2 * np.pi, VERTICES))
    radius = rng.uniform(0.6, 1, VERTICES) * rng.uniform(0.04, 0.16) * height
    points = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    label = ("box", "disc", "post")[rng.integers(3)]
    return Shape(label, tuple(map(tuple, points.round(2).tolist())))


def _bands(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    rows = np.arange(height)[:, None]
    labels = np.full((height, width), STUFF[0], np.uint8)
    for band, value in enumerate(STUFF[1:], start=1):
        border = band * height / 3 + rng.normal(0, 1, width).cumsum()
        labels[rows > border] = value
    return labels


def convert_all(root: Path) -> int:
    """The whole set in this process, from nothing; photos converted."""
    from conversion.build import convert

    shutil.rmtree(root / "panoptic", ignore_errors=True)
    shutil.rmtree(root / ".cache", ignore_errors=True)
    return sum(convert(open_dataset(root)).photos.values())


def pillow_all(root: Path) -> int:
    """Pillow saves the PNGs of the set, at its defaults; the pixels are in memory before."""
    paths = sorted(root.glob("panoptic/panoptic_*/*.png"))
    pictures = [Image.open(path).convert("RGB") for path in paths]
    start = time.process_time()
    for picture in pictures:
        picture.save(io.BytesIO(), "PNG")
    return _report(len(pictures), time.process_time() - start)


def labelme2coco_all(root: Path) -> int:
    """PyPI's labelme2coco, from the folder of Labelme files to a JSON file."""
    import logging

    logging.disable(logging.CRITICAL)
    from labelme2coco import get_coco_from_labelme_folder

    start = time.process_time()
    coco = get_coco_from_labelme_folder(str(root / "labelme"))
    (root / "labelme2coco.json").write_text(json.dumps(coco.json))
    return _report(len(coco.json["images"]), time.process_time() - start)


def instances_all(root: Path) -> int:
    """The same with ours: COCO instances of a set without stuff, checked, joined, measured."""
    from conversion.instances import write_instances

    start = time.process_time()
    count = write_instances(open_dataset(root), root / "ours.json")
    return _report(count, time.process_time() - start)


def _report(count: int, seconds: float) -> int:
    print("seconds", seconds)
    return count
