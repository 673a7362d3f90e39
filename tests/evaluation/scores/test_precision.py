"""The AP of hotcoco is that of pycocotools."""

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
        expected = [max(0.0, value) for value in oracle.stats[:3]]
        assert [found.ap, found.ap50, found.ap75] == pytest.approx(expected, abs=1e-12)
        different.add(round(found.ap, 3))
    assert len(different) > 20
