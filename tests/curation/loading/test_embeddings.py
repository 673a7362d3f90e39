"""What the App shows about photos that look alike, or like no others."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from numpy.typing import NDArray

from annotation.dataset import Dataset
from annotation.photos.files import read_photo
from conversion.building.build import convert
from conversion.building.check import check
from curation.app.fields import LOOK_ALIKES, PHOTO_MAP, REPRESENTATIVENESS, SIMILAR, UNIQUENESS
from curation.loading.embeddings import UNUSUAL, order_pairs, rate_uniqueness
from curation.loading.load import load_dataset
from detr.prediction import descriptors
from labelme_panoptic_detr.embeddings import embed_photos
from tests.curation.conftest import GOOD
from tests.drawn import YAML, draw_dataset

LISTS = "lists: {train: train.txt, test: test.txt}"
NAMES = "abcdef"


def stripes(angle: float) -> NDArray[np.uint8]:
    """A photo of 40x30 pixels with black and white stripes at an angle in degrees."""
    y, x = np.mgrid[:30, :40]
    phase = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    return np.repeat((phase % 8 < 4)[..., None] * np.uint8(255), 3, 2)


@pytest.fixture
def dataset(tmp_path: Path, mongo: str) -> Iterator[Dataset]:
    """Striped photos and f, which is noise. The test photo e is c of train, mirrored."""
    name = f"drawn {os.getpid()}-{tmp_path.name}"
    yaml = YAML.replace("drawn", name).replace("seed: 0", f"seed: 0, {LISTS}")
    root = tmp_path / "set"
    dataset = draw_dataset(root, dict.fromkeys(NAMES, GOOD), yaml=yaml)
    photos = dict(zip(NAMES, map(stripes, (0, 20, 40, 60)), strict=False))
    photos["e"] = np.ascontiguousarray(photos["c"][:, ::-1])
    photos["f"] = np.random.default_rng(0).integers(256, size=(30, 40, 3), dtype=np.uint8)
    for one, pixels in photos.items():
        cv2.imwrite(str(dataset.images / f"{one}.jpg"), pixels)
    (root / "train.txt").write_text("a.jpg\nb.jpg\nc.jpg\nf.jpg\n")
    (root / "test.txt").write_text("d.jpg\ne.jpg\n")
    convert(dataset)
    yield dataset
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def load(dataset: Dataset) -> fo.Dataset:
    return fo.load_dataset(load_dataset(dataset, check(dataset), embed_photos))


def names(view: fo.DatasetView) -> list[str]:
    return [Path(name).stem for name in view.values("photo")]


def test_unusual_photos_and_mirrored_copies_are_found(dataset: Dataset) -> None:
    samples = load(dataset)
    assert names(samples.load_saved_view(UNUSUAL))[0] == "f"
    assert names(samples.sort_by(REPRESENTATIVENESS))[0] == "f"
    assert names(samples.load_saved_view(LOOK_ALIKES))[:2] == ["e", "c"]
    points = samples.load_brain_results(PHOTO_MAP).points
    assert points.shape == (6, 2) and np.isfinite(points).all()
    fob.compute_uniqueness(samples, uniqueness_field="theirs", similarity_index=SIMILAR)
    assert samples.values(UNIQUENESS) == pytest.approx(samples.values("theirs"), abs=1e-5)


def test_the_distances_between_all_photos_are_not_held_in_memory() -> None:
    count = 4000
    vectors = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    tracemalloc.start()
    unlike = rate_uniqueness(vectors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unlike.shape == (count,) and unlike.max() == 1
    assert peak < 4 * count**2 / 4


def test_changed_photos_are_read_again_and_the_map_follows(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(dataset).values(UNIQUENESS)
    read: list[str] = []

    def recorded(path: Path) -> NDArray[np.uint8]:
        read.append(path.name)
        return read_photo(path)

    monkeypatch.setattr(descriptors, "read_photo", recorded)
    cv2.imwrite(str(dataset.images / "f.jpg"), stripes(80))
    convert(dataset)
    assert load(dataset).values(UNIQUENESS) != before
    assert read == ["f.jpg"]
    for name in NAMES:
        cv2.imwrite(str(dataset.images / f"{name}.jpg"), stripes(0))
    convert(dataset)
    samples = load(dataset)
    assert samples.list_brain_runs() == []  # one photo many times has no map
    assert not samples.has_sample_field(UNIQUENESS)
    assert not samples.has_saved_view(LOOK_ALIKES)


def test_a_photo_of_train_is_beside_all_its_pairs() -> None:
    pairs = [("e", "c"), ("d", "a"), ("f", "c")]
    assert order_pairs(pairs) == ["e", "f", "c", "d", "a"]
