"""A run of the fast variant overfits a small data set and predicts photos of any shape."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from base.errors import InputError
from conversion.coco.panoptic import measure
from conversion.coco.panoptic_file import read_panoptic
from detr.config import RunConfig
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.prediction.predict import predict
from detr.prediction.predictor import load_model
from detr.prediction.thresholds import Thresholds
from detr.training.train import train
from detr.weights.checkpoint import load_checkpoint, save_checkpoint
from evaluation.scores.scores import evaluate_files
from tests.detr.drawn import draw_set
from tests.detr.random_weights import SMALL, save
from tests.detr.training.runs import FAST

LEARNING = replace(
    FAST,
    batch_size=4,
    epochs=36,
    lr=1e-3,
    lr_backbone=0,  # frozen, because that takes less time
    warmup_steps=10,
    schedule="flat_cosine",
    ema_decay=0.9,
    zoom=(1.0, 1.0),
    stretch=0,
    flip=False,
    precision="float32",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set in `panoptic/`, and a run in `run/` that was trained on it."""
    root = tmp_path_factory.mktemp("predict")
    draw_set(root / "panoptic", train=16, test=1)
    train(root / "panoptic", root / "run", RunConfig("drawn", LEARNING), "both")
    return root


@pytest.fixture
def photos(folder: Path, tmp_path: Path) -> Path:
    """Four photos of one size and four of other sizes, including 900x3 and 1x1 pixels."""
    images = tmp_path / "photos"
    images.mkdir()
    for number in range(1, 5):
        shutil.copy(folder / f"panoptic/train/photo{number}.png", images)
    photo = cv2.imread(str(images / "photo1.png"))
    cv2.imwrite(str(images / "portrait.png"), photo.transpose(1, 0, 2))
    cv2.imwrite(str(images / "large.png"), cv2.resize(photo, (301, 203)))
    cv2.imwrite(str(images / "thin.png"), np.zeros((3, 900, 3), np.uint8))
    cv2.imwrite(str(images / "one.png"), np.zeros((1, 1), np.uint8))
    return images


def test_the_run_overfits_sixteen_photos(folder: Path, tmp_path: Path) -> None:
    predict(folder / "run", folder / "panoptic/train", tmp_path / "out")
    truth = folder / "panoptic/annotations/panoptic_train.json"
    scores = evaluate_files(truth, tmp_path / "out/panoptic.json")
    assert scores.quality.stuff.pq > 0.9
    assert scores.quality.things.pq > 0.5
    assert scores.box_ap is not None and scores.box_ap.ap50 > 0.7


def test_segments_and_instances_agree_with_their_pixels(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    predict(folder / "run", photos, tmp_path / "out")
    found = read_panoptic(tmp_path / "out/panoptic.json")
    stuff = {c.id for c in found.categories if not c.isthing}
    for photo in found.photos:
        ids = found.segment_ids(photo)
        assert ids.shape == (photo.height, photo.width)
        assert measure(ids) == {s.id: (s.area, s.bbox) for s in photo.segments}
        assert all(s.score is not None and 0.2 < s.score <= 1 for s in photo.segments)
        shown = [s.category_id for s in photo.segments if s.category_id in stuff]
        assert len(shown) == len(set(shown))
    sizes = {p.id: (p.height, p.width) for p in found.photos}
    assert (203, 301) in sizes.values() and (3, 900) in sizes.values()
    instances = json.loads((tmp_path / "out/instances.json").read_text())
    assert len({each["image_id"] for each in instances}) >= 5
    for each in instances:
        height, width = sizes[each["image_id"]]
        assert coco_mask.decode(each["segmentation"]).shape == (height, width)
        x, y, w, h = each["bbox"]
        assert 0 <= x <= x + w <= width + 0.1 and 0 <= y <= y + h <= height + 0.1
        assert each["score"] > 0.05 and each["category_id"] not in stuff


def test_a_prediction_does_not_depend_on_other_photos(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    predict(folder / "run", photos, tmp_path / "all")
    every = read_panoptic(tmp_path / "all/panoptic.json")
    photo_of = {photo.file_name: photo for photo in every.photos}
    for name in ("photo2.png", "portrait.png", "large.png"):
        (tmp_path / name).mkdir()
        shutil.copy(photos / name, tmp_path / name)
        predict(folder / "run", tmp_path / name, tmp_path / f"{name}-out")
        one = read_panoptic(tmp_path / f"{name}-out/panoptic.json")
        alone, together = one.photos[0], photo_of[name]
        assert len(alone.segments) == len(together.segments) > 1
        for first, second in zip(alone.segments, together.segments, strict=True):
            assert first.score == pytest.approx(second.score, abs=1e-3)
        same = every.segment_ids(together) == one.segment_ids(alone)
        assert np.mean(same) > 0.99  # rounding may move a border


def test_a_higher_threshold_leaves_fewer_segments(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    counts = []
    for thresholds in (None, Thresholds(0.999), Thresholds(0.0, 0.5)):
        predict(folder / "run", photos, tmp_path / "out", thresholds)
        found = read_panoptic(tmp_path / "out/panoptic.json").photos
        instances = json.loads((tmp_path / "out/instances.json").read_text())
        counts.append((sum(len(p.segments) for p in found), len(instances)))
    (own, many), (few, as_many), (most, sure) = counts
    assert few < own <= most
    assert sure < many == as_many


def test_the_variant_is_read_from_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    path = folder / "run/checkpoints/joint.pt"
    assert isinstance(load_model(path).model, FastDETR)
    assert load_model(path).config.variant == "fast"
    published = save(tmp_path / "boxes.pth", SMALL, 91, masks=False)
    assert isinstance(load_model(published).model, DETR)
    checkpoint = load_checkpoint(path)
    other = replace(checkpoint, config=replace(SMALL, num_queries=5))
    save_checkpoint(tmp_path / "other.pt", other)
    with pytest.raises(InputError, match=r"other\.pt: weights do not fit the model: \d+ missing"):
        load_model(tmp_path / "other.pt")
