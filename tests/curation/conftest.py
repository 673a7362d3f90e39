"""Small data sets in FiftyOne, in a MongoDB for the tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from annotation.dataset import Dataset
from conversion.building.build import convert
from conversion.building.check import check
from conversion.coco.panoptic import PanopticSet, Segment, measure
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import write_segment_ids
from curation.loading.load import load_dataset
from tests.drawn import BOX, DISC, ROAD, YAML, draw_dataset, square

GOOD = [square("box", 4, 4, 8), square("box", 20, 4, 8), square("disc", 30, 20, 6)]

# of `predict`; the hits are box 1, sky and road
PQ = (1 + 1 + 652 / 716) / (3 + (1 + 2) / 2)


@contextmanager
def drawn_in(folder: Path) -> Iterator[Dataset]:
    """Photos a and b have the same correct shapes, one in each split; c has an unknown label."""
    name = f"drawn {os.getpid()}-{folder.name}"
    photos = {"a": GOOD, "b": GOOD, "c": [square("bxo", 4, 4, 8)]}
    yield draw_dataset(folder / "set", photos, yaml=YAML.replace("drawn", name))
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


@pytest.fixture
def drawn(tmp_path: Path, mongo: str) -> Iterator[Dataset]:
    with drawn_in(tmp_path) as dataset:
        yield dataset


Curate = Callable[[Dataset], fo.Dataset]


def load_checked(dataset: Dataset) -> fo.Dataset:
    """Convert, validate and load, as the command line does."""
    convert(dataset)
    checked = check(dataset)  # with what the conversion found, such as copies across splits
    return fo.load_dataset(load_dataset(dataset, checked))


@pytest.fixture
def curate() -> Curate:
    return load_checked


def outcomes(labels: fo.Detections) -> list[tuple[str, str, list[str]]]:
    return sorted((d.label, d["outcome"], d.tags) for d in labels.detections)


def truth_of(dataset: Dataset) -> PanopticSet:
    return read_panoptic(dataset.panoptic / "annotations" / "panoptic_test.json")


def predict(dataset: Dataset, folder: Path) -> Path:
    """Predict the test photos; the predictions of all but the first are the ground truth.

    In the first, box 1 and sky are correct, box 2 becomes road, the disc a box. True areas: 64
    pixels for each box, disc 36, sky 304, road 652; the last two rows are void.
    """
    truth = truth_of(dataset)
    photo, *others = truth.photos
    box_1, box_2 = sorted((s for s in photo.segments if s.category_id == BOX), key=lambda s: s.bbox)
    (road,) = (s for s in photo.segments if s.category_id == ROAD)
    ids = truth.segment_ids(photo)
    ids = np.where(ids == box_2.id, road.id, ids).astype(np.uint32)
    categories = {s.id: BOX if s.category_id == DISC else s.category_id for s in photo.segments}
    segments = tuple(
        Segment(number, categories[number], area, bbox, score=0.75)
        for number, (area, bbox) in measure(ids).items()
    )
    path = folder / "panoptic.json"
    write_segment_ids(folder / "panoptic" / photo.png_name, ids)
    for other in others:
        write_segment_ids(folder / "panoptic" / other.png_name, truth.segment_ids(other))
    photos = (replace(photo, segments=segments), *others)
    write_panoptic(PanopticSet(path, folder / "panoptic", truth.categories, photos))
    assert box_1.id in measure(ids)
    return path


def predict_truth(dataset: Dataset, folder: Path) -> None:
    """Predict the test photos without errors."""
    truth = truth_of(dataset)
    for photo in truth.photos:
        write_segment_ids(folder / "panoptic" / photo.png_name, truth.segment_ids(photo))
    copy = replace(truth, json_path=folder / "panoptic.json", png_folder=folder / "panoptic")
    write_panoptic(copy)
