from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotation.files import InputError, write_json
from conversion.build import convert
from conversion.panoptic import PanopticSet, read_panoptic, write_panoptic
from conversion.png import write_segment_ids
from conversion.raster import encode_mask
from evaluation.scores import evaluate_files, evaluate_sets
from tests.drawn import BOX, draw_dataset, square


@pytest.fixture
def truth(tmp_path: Path) -> PanopticSet:
    shapes = [square("box", 2, 3, 6), square("disc", 20, 5, 8)]
    dataset = draw_dataset(tmp_path / "set", {f"p{i}": shapes for i in range(4)})
    convert(dataset)
    return read_panoptic(dataset.panoptic / "annotations/panoptic_test.json")


def predict(truth: PanopticSet, folder: Path, *, score: float | None) -> PanopticSet:
    """The truth as a prediction: other ids, other order, the discs missed."""
    photos = []
    for number, photo in enumerate(reversed(truth.photos), start=1):
        ids = truth.segment_ids(photo)
        kept = tuple(s for s in photo.segments if s.category_id != BOX + 1)
        ids = np.where(np.isin(ids, [s.id for s in kept]), ids + 1000, 0).astype(np.uint32)
        segments = tuple(replace(s, id=s.id + 1000, score=score) for s in kept)
        png_name = f"{number}.png"
        write_segment_ids(folder / "panoptic" / png_name, ids)
        photos.append(replace(photo, id=number, png_name=png_name, segments=segments))
    path = folder / "panoptic.json"
    write_panoptic(PanopticSet(path, path.with_suffix(""), truth.categories, tuple(photos)))
    return read_panoptic(path)


def test_photos_are_joined_by_file_name(truth: PanopticSet, tmp_path: Path) -> None:
    scores = evaluate_sets(truth, predict(truth, tmp_path / "out", score=0.9))
    quality = scores.quality
    assert quality.categories["box"].pq == 1
    assert (quality.categories["disc"].pq, quality.categories["disc"].fn) == (0, 2)
    assert quality.all.pq == pytest.approx(3 / 4)
    assert scores.box_ap is not None
    assert scores.mask_ap is not None
    assert scores.box_ap.ap == pytest.approx(0.5)  # of two thing categories one is found
    assert scores.mask_ap.ap50 == pytest.approx(0.5)


def test_without_scores_there_is_no_ap(truth: PanopticSet, tmp_path: Path) -> None:
    scores = evaluate_sets(truth, predict(truth, tmp_path / "out", score=None))
    assert (scores.box_ap, scores.mask_ap) == (None, None)
    assert "box_ap" not in scores.as_json()


def test_instances_beside_the_prediction_decide_ap(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    mask = np.zeros((30, 40), bool)
    mask[5:13, 20:28] = True
    disc = {"category_id": BOX + 1, "bbox": [20, 5, 8, 8], "score": 0.3}
    results = [
        {"image_id": p.id, **disc, "segmentation": encode_mask(mask)} for p in prediction.photos
    ]
    write_json(tmp_path / "out/instances.json", results)
    scores = evaluate_files(truth.json_path, prediction.json_path)
    assert scores.mask_ap is not None
    assert scores.mask_ap.ap == pytest.approx(0.5)  # now the disc, not the box
    write_json(tmp_path / "out/instances.json", [])
    empty = evaluate_files(truth.json_path, prediction.json_path)
    assert empty.box_ap is not None
    assert empty.box_ap.ap == 0


def test_json_has_the_documented_keys(truth: PanopticSet) -> None:
    values = json.loads(json.dumps(evaluate_sets(truth, truth).as_json()))
    for name in ("all", "things", "stuff"):
        assert set(values[name]) == {"pq", "sq", "rq", "n"}
    assert set(values["categories"]["box"]) == {"pq", "sq", "rq", "tp", "fp", "fn"}


def test_a_photo_without_prediction_is_named(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    with pytest.raises(InputError, match=f"no prediction for {truth.photos[1].file_name}"):
        evaluate_sets(truth, replace(prediction, photos=prediction.photos[1:]))


def test_categories_must_agree(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    renamed = tuple(replace(c, name="crate") if c.id == BOX else c for c in truth.categories)
    with pytest.raises(InputError, match=r"category 201 is 'crate', but 'box'"):
        evaluate_sets(truth, replace(prediction, categories=renamed))
