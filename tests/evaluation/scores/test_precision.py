"""The AP of hotcoco is that of pycocotools, and that of resampled photos is hotcoco's."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from conversion.coco.rle import encode_mask
from evaluation.scores.precision import instance_precision
from evaluation.scores.resampling import resample

SIDE, PHOTOS, CATEGORIES = 64, 6, 3


def random_instance(rng: np.random.Generator, near: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a random rectangle, or one close to another, with its mask as RLE."""
    if near is None:
        x, y, w, h = (*rng.integers(0, 40, 2), *rng.integers(4, 24, 2))
    else:
        x, y, w, h = np.array(near["bbox"], int) + rng.integers(-2, 3, 4)
        x, y, w, h = max(0, x), max(0, y), max(2, w), max(2, h)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + h, x : x + w] = True
    rows, columns = np.nonzero(mask)
    box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
    return {"bbox": box, "area": int(mask.sum()), "segmentation": encode_mask(mask)}


def random_set(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a ground truth with crowds, and results with ties, duplicates and inventions."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for photo in range(1, PHOTOS + 1):
        for _ in range(int(rng.integers(0, 6))):
            where = {"image_id": photo, "category_id": int(rng.integers(1, CATEGORIES + 1))}
            true = random_instance(rng)
            crowd = {"id": len(annotations) + 1, "iscrowd": int(rng.random() < 0.15)}
            annotations.append({**where, **true, **crowd})
            for _ in range(int(rng.integers(0, 3))):
                score = round(float(rng.random()), 1)
                results.append({**where, **random_instance(rng, true), "score": score})
        where = {"image_id": photo, "category_id": int(rng.integers(1, CATEGORIES + 1))}
        results.append({**where, **random_instance(rng), "score": round(float(rng.random()), 1)})
    size = {"width": SIDE, "height": SIDE}
    dataset = {
        "images": [{"id": photo, **size} for photo in range(1, PHOTOS + 1)],
        "annotations": annotations,
        "categories": [{"id": c, "name": str(c)} for c in range(1, CATEGORIES + 1)],
    }
    return dataset, results


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_ap_is_that_of_pycocotools(kind: str) -> None:
    different = set()
    for seed in range(40):
        dataset, results = random_set(seed)
        found = instance_precision(dataset, results, kind)
        with contextlib.redirect_stdout(io.StringIO()):
            ground = COCO()
            ground.dataset = dataset
            ground.createIndex()
            oracle = COCOeval(ground, ground.loadRes([dict(r) for r in results]), kind)
            oracle.evaluate()
            oracle.accumulate()
            oracle.summarize()
        assert found
        expected = [max(0.0, value) for value in (*oracle.stats[:3], oracle.stats[8])]
        scores = [found.ap, found.ap50, found.ap75, found.ar]
        assert scores == pytest.approx(expected, abs=1e-12)
        different.add(round(found.ap, 3))
    assert len(different) > 20


def repeated(entries: list[dict[str, Any]], copies: list[int]) -> list[dict[str, Any]]:
    """Return what photos contain if each is there several times, as photos of its own."""
    return [
        {**entry, "image_id": entry["image_id"] + PHOTOS * copy}
        for entry in entries
        for copy in range(copies[entry["image_id"] - 1])
    ]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_ap_of_drawn_photos_is_that_of_a_set_of_them(kind: str) -> None:
    rng = np.random.default_rng(0)
    for seed in range(10):
        dataset, results = random_set(seed)
        for number, result in enumerate(results):
            result["score"] += number * 1e-6  # no two are equal
        found = instance_precision(dataset, results, kind)
        assert found and found.evaluation
        weights = rng.multinomial(PHOTOS, np.full(PHOTOS, 1 / PHOTOS), 5).astype(float)
        drawn = resample(found.evaluation, range(1, PHOTOS + 1), weights)
        for copies, ap, ar in zip(weights.astype(int).tolist(), drawn.ap, drawn.ar, strict=True):
            ids = [i + PHOTOS * copy for i in range(1, PHOTOS + 1) for copy in range(copies[i - 1])]
            annotations = repeated(dataset["annotations"], copies)
            larger = {
                **dataset,
                "images": [{"id": i, "width": SIDE, "height": SIDE} for i in ids],
                "annotations": [{**a, "id": i} for i, a in enumerate(annotations, start=1)],
            }
            expected = instance_precision(larger, repeated(results, copies), kind)
            assert expected
            assert (ap, ar) == pytest.approx((expected.ap, expected.ar), abs=1e-12)
