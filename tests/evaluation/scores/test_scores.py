from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from base.errors import InputError
from base.parsing import write_json
from conversion.building.build import convert
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import write_segment_ids
from conversion.coco.results import Result, write_results
from conversion.coco.rle import encode_mask
from evaluation.scores.precision import box_precision
from evaluation.scores.scores import evaluate_files, evaluate_sets
from evaluation.scores.tables import scores_json, scores_table
from tests.drawn import BOX, draw_dataset, square


@pytest.fixture
def truth(tmp_path: Path) -> PanopticSet:
    shapes = [square("box", 2, 3, 6), square("disc", 20, 5, 8)]
    dataset = draw_dataset(tmp_path / "set", {f"p{i}": shapes for i in range(4)})
    convert(dataset)
    return read_panoptic(dataset.panoptic / "annotations/panoptic_test.json")


def predict(truth: PanopticSet, folder: Path, *, score: float | None) -> PanopticSet:
    """The ground truth as a prediction, with other ids, in another order, without the discs."""
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
    assert scores.box_ap.ap == pytest.approx(0.5)  # one of two thing categories is found
    assert scores.mask_ap.ap50 == pytest.approx(0.5)


def test_without_scores_there_is_no_ap(truth: PanopticSet, tmp_path: Path) -> None:
    scores = evaluate_sets(truth, predict(truth, tmp_path / "out", score=None))
    assert (scores.box_ap, scores.mask_ap) == (None, None)
    assert "box_ap" not in scores_json(scores)


def test_ap_uses_the_instances_beside_the_prediction(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    mask = np.zeros((30, 40), bool)
    mask[5:13, 20:28] = True
    results = [
        Result(p.id, BOX + 1, xywh=(20, 5, 8, 8), score=0.3, rle=encode_mask(mask))
        for p in prediction.photos
    ]
    write_results(tmp_path / "out/instances.json", results)
    scores = evaluate_files(truth.json_path, prediction.json_path)
    assert scores.mask_ap is not None
    assert scores.mask_ap.ap == pytest.approx(0.5)  # now the disc, not the box
    write_results(tmp_path / "out/instances.json", [])
    empty = evaluate_files(truth.json_path, prediction.json_path)
    assert empty.box_ap is not None
    assert empty.box_ap.ap == 0


def test_json_has_the_documented_keys(truth: PanopticSet, tmp_path: Path) -> None:
    scores = evaluate_sets(truth, predict(truth, tmp_path / "out", score=0.9))
    values = json.loads(json.dumps(scores_json(scores), allow_nan=False))
    for name in ("all", "things", "stuff"):
        assert {"pq", "sq", "rq", "n"} < set(values[name])
        low, high = values[name]["pq_interval"]
        assert low <= values[name]["pq"] <= high
    assert {"pq", "sq", "rq", "tp", "fp", "fn"} < set(values["categories"]["box"])
    assert {"ap", "ap50", "ap75", "ar"} < set(values["box_ap"])
    assert values["box_ap"]["categories"] == pytest.approx({"box": 1, "disc": 0})
    assert values["photos"][truth.photos[0].file_name]["fn"] == 1
    assert set(values["few_photos"]) == set(values["categories"])  # there are only two photos


def test_a_photo_without_prediction_is_named(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    with pytest.raises(InputError, match=f"no prediction for {truth.photos[1].file_name}"):
        evaluate_sets(truth, replace(prediction, photos=prediction.photos[1:]))


DISC = {"image_id": 1, "category_id": BOX + 1, "bbox": [20, 5, 8, 8], "score": 0.3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"missing required field `segmentation` - at `\$\[1\]`"),
        ({"bbox": [1, 2]}, r"length 4, got 2 - at `\$\[1\].bbox`"),
        ({"score": "high"}, r"`float`, got `str` - at `\$\[1\].score`"),
        ({"category_id": 999, "segmentation": (30, 40)}, r"\[1\].category_id: expected .* 999"),
        ({"image_id": 9, "segmentation": (30, 40)}, r"\[1\].image_id: expected .* 9"),
        ({"segmentation": (3, 4)}, r"\[1\].segmentation.size: expected \[30, 40\], .* \[3, 4\]"),
    ],
)
def test_an_invalid_instance_is_an_error_with_its_index(
    truth: PanopticSet, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    good = {**DISC, "segmentation": encode_mask(np.ones((30, 40), bool))}
    bad = {**DISC, **change}
    if "segmentation" in bad:
        bad["segmentation"] = encode_mask(np.ones(bad["segmentation"], bool))
    write_json(tmp_path / "out/instances.json", [good, bad])
    with pytest.raises(InputError, match=rf"instances.json: .*{message}"):
        evaluate_files(truth.json_path, prediction.json_path)


def test_a_segment_of_an_unknown_category_is_named(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    first, *others = prediction.photos
    odd = replace(first, segments=(replace(first.segments[0], category_id=999),))
    message = rf"out/panoptic.json: {first.file_name}: segment {odd.segments[0].id}: .*found 999"
    with pytest.raises(InputError, match=message):
        evaluate_sets(truth, replace(prediction, photos=(odd, *others)))


def test_a_missing_key_is_named(truth: PanopticSet, tmp_path: Path) -> None:
    path = predict(truth, tmp_path / "out", score=0.9).json_path
    values = json.loads(path.read_text())
    del values["annotations"][1]["segments_info"][0]["category_id"]
    write_json(path, values)
    message = r"panoptic.json: .*`category_id` - at `\$.annotations\[1\].segments_info\[0\]`"
    with pytest.raises(InputError, match=message):
        evaluate_files(truth.json_path, path)


def test_areas_are_those_of_the_pixels(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    photos = tuple(
        replace(p, segments=tuple(replace(s, area=0) for s in p.segments))
        for p in prediction.photos
    )
    assert evaluate_sets(truth, replace(prediction, photos=photos)).quality.all.pq == 3 / 4


def test_without_things_there_is_no_ap(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    stuff = {c.id for c in truth.categories if not c.isthing}
    folder, photos = tmp_path / "stuff", []
    for photo in truth.photos:
        kept = tuple(s for s in photo.segments if s.category_id in stuff)
        ids = truth.segment_ids(photo)
        ids[~np.isin(ids, [s.id for s in kept])] = 0
        write_segment_ids(folder / photo.png_name, ids)
        photos.append(replace(photo, segments=kept))
    only_stuff = replace(truth, png_folder=folder, photos=tuple(photos))
    box = Result(photos[0].id, BOX, xywh=(1, 1, 2, 2), score=0.5)
    assert box_precision(only_stuff, [box]) is None
    scores = evaluate_sets(only_stuff, prediction)
    assert (scores.box_ap, scores.mask_ap) == (None, None)
    console = Console(file=io.StringIO(), width=100)
    console.print(scores_table(scores))
    assert "mask AP -" in console.file.getvalue()  # type: ignore[attr-defined]


def test_categories_must_agree(truth: PanopticSet, tmp_path: Path) -> None:
    prediction = predict(truth, tmp_path / "out", score=0.9)
    renamed = tuple(replace(c, name="crate") if c.id == BOX else c for c in truth.categories)
    message = r"category 201: expected thing 'box', .*, found thing 'crate'"
    with pytest.raises(InputError, match=message):
        evaluate_sets(truth, replace(prediction, categories=renamed))
