"""Box AP by hotcoco, as `evaluate` computes it, compared with pycocotools on one core.

Boxes are generated from a seed: 500 photos with 20 true boxes and 100 predicted ones each. The
programs take turns; times are CPU seconds, the shortest of all rounds.

    .venv/bin/python -m benchmarks.average_precision [--photos 500] [--rounds 3]
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tyro
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluation.scores.precision import instance_precision

SIDE, CATEGORIES, TRUE, PREDICTED = 640, 10, 20, 100
Dataset, Results = dict[str, Any], list[dict[str, Any]]


def make_boxes(photos: int) -> tuple[Dataset, Results]:
    """Return a ground truth and results: each true box is predicted five times, with deviations."""
    rng = np.random.default_rng(0)
    annotations: Results = []
    results: Results = []
    for photo in range(1, photos + 1):
        corners = rng.uniform(0, SIDE - 100, (TRUE, 2))
        true = np.concatenate([corners, rng.uniform(10, 100, (TRUE, 2))], 1)
        ids = rng.integers(1, CATEGORIES + 1, TRUE)
        for xywh, category in zip(true.tolist(), ids.tolist(), strict=True):
            where = {"image_id": photo, "category_id": category, "bbox": xywh}
            number = len(annotations) + 1
            area = {"area": xywh[2] * xywh[3], "iscrowd": 0}
            annotations.append({**where, **area, "id": number})
        found = np.repeat(true, PREDICTED // TRUE, 0)
        found += rng.normal(0, 0.1, found.shape) * found[:, [2, 3, 2, 3]]
        found[:, 2:] = np.maximum(found[:, 2:], 1)
        boxes = zip(found.tolist(), rng.random(PREDICTED).tolist(), strict=True)
        for number, (xywh, score) in enumerate(boxes):
            category = int(ids[number * TRUE // PREDICTED])
            results.append(
                {"image_id": photo, "category_id": category, "bbox": xywh, "score": score}
            )
    images = [{"id": n, "width": SIDE, "height": SIDE} for n in range(1, photos + 1)]
    categories = [{"id": n, "name": str(n)} for n in range(1, CATEGORIES + 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def by_hotcoco(dataset: Dataset, results: Results) -> float:
    """Return the box AP as `evaluate` computes it."""
    found = instance_precision(dataset, results, "bbox")
    return found.ap if found else float("nan")


def by_pycocotools(dataset: Dataset, results: Results) -> float:
    """Return the box AP by the official code."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = dataset
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes([dict(r) for r in results]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


PROGRAMS: dict[str, Callable[[Dataset, Results], float]] = {
    "hotcoco": by_hotcoco,
    "pycocotools": by_pycocotools,
}


def main(photos: int = 500, rounds: int = 3) -> None:
    """Print the AP and the CPU seconds of both.

    Args:
        photos: number of photos, each with 20 true and 100 predicted boxes.
        rounds: how often each is measured.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    dataset, results = make_boxes(photos)
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    ap = {}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            start = time.process_time()
            ap[name] = program(dataset, results)
            seconds[name].append(time.process_time() - start)
    print(f"{len(results)} predicted boxes")
    for name, measured in seconds.items():
        print(f"{name:12} AP {100 * ap[name]:.10f}  {min(measured):6.2f} s")


if __name__ == "__main__":
    tyro.cli(main)
