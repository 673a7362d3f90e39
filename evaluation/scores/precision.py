"""Average precision and recall (AP, AR) of boxes and masks, computed by hotcoco.

hotcoco gives the figures of pycocotools in a small part of the time. Instances are plain dicts in
COCO's results format.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval

from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.results import INSTANCES, Result, read_results
from conversion.coco.rle import encode_mask


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's AP at IoU 0.50:0.95, at 0.50 and at 0.75, and AR of 100 instances, in 0..1.

    `evaluation` is hotcoco's, with the matches of each photo; None if there are no results.
    """

    ap: float
    ap50: float
    ap75: float
    ar: float
    evaluation: COCOeval | None = field(default=None, repr=False, compare=False)

    def by_category(self) -> dict[int, float]:
        """Return the AP of each category of the ground truth by id; empty without results."""
        if self.evaluation is None or self.evaluation.eval is None:
            return {}
        # by threshold, recall and category; of all areas, and 100 instances of a photo
        precision = np.asarray(self.evaluation.eval["precision"])[:, :, :, 0, -1]
        means = precision.mean((0, 1)).tolist()
        ids = self.evaluation.params.cat_ids
        return {number: ap for number, ap in zip(ids, means, strict=True) if ap >= 0}


@dataclass(frozen=True)
class ThingPrecision:
    """AP of the boxes and of the masks of all things; None if it is not defined."""

    box: AveragePrecision | None
    mask: AveragePrecision | None


def average_precision(truth: PanopticSet, prediction: PanopticSet) -> ThingPrecision:
    """Compute box AP and mask AP of the things in the photos of `truth`.

    Both are None if the ground truth has no things or the prediction has no scores. The predicted
    instances are read from `instances.json` (COCO's results format, including low scores) beside
    the prediction's JSON. If there is no such file, they are the segments with scores. The true
    instances are the visible pixels of the things.
    """
    results = _results(prediction)
    if results is None:
        return ThingPrecision(None, None)
    id_of = {photo.file_name: photo.id for photo in truth.photos}
    name_of = {photo.id: photo.file_name for photo in prediction.photos}
    kept = [
        {**r, "image_id": id_of[name_of[r["image_id"]]]}
        for r in results
        if name_of.get(r["image_id"]) in id_of
    ]
    ground = _ground(truth)
    return ThingPrecision(
        instance_precision(ground, kept, "bbox"), instance_precision(ground, kept, "segm")
    )


def box_precision(truth: PanopticSet, results: Iterable[Result]) -> AveragePrecision | None:
    """Compute the box AP of things from the boxes of `results`; read no PNGs.

    Returns None if the ground truth has no things. Results of stuff categories are ignored.
    """
    things = {c.id for c in truth.categories if c.isthing}
    found = [result.as_json() for result in results if result.category_id in things]
    annotations = [
        {"image_id": p.id, "category_id": s.category_id, "bbox": list(s.bbox), "area": s.area}
        | {"iscrowd": int(s.iscrowd)}
        for p in truth.photos
        for s in p.segments
        if s.category_id in things
    ]
    return instance_precision(_dataset(truth, annotations), found, "bbox")


def instance_precision(
    dataset: dict[str, Any], results: list[dict[str, Any]], kind: str
) -> AveragePrecision | None:
    """Evaluate results against a data set in COCO's format; None if it has only crowds."""
    if all(annotation["iscrowd"] for annotation in dataset["annotations"]):
        return None
    if not results:
        return AveragePrecision(0.0, 0.0, 0.0, 0.0)
    ground = COCO(dataset)
    evaluation = COCOeval(ground, ground.load_res(results), kind)
    with contextlib.redirect_stdout(io.StringIO()):  # `summarize` prints
        evaluation.run()
    found = evaluation.get_results()
    names = ("AP", "AP50", "AP75", "AR100")
    ap, ap50, ap75, ar = (max(0.0, float(found[name])) for name in names)
    return AveragePrecision(ap, ap50, ap75, ar, evaluation)


def _results(prediction: PanopticSet) -> list[dict[str, Any]] | None:
    path = prediction.json_path.parent / INSTANCES
    if path.is_file():
        return read_results(path, prediction)
    things = {c.id for c in prediction.categories if c.isthing}
    results = [
        {**instance, "score": score}
        for photo in prediction.photos
        if any(segment.score is not None for segment in photo.segments)  # before PNGs are read
        for instance, score in _thing_segments(prediction, photo, things)
        if score is not None
    ]
    return results or None


def _ground(truth: PanopticSet) -> dict[str, Any]:
    things = {c.id for c in truth.categories if c.isthing}
    return _dataset(
        truth,
        [i for photo in truth.photos for i, _ in _thing_segments(truth, photo, things)],
    )


def _dataset(truth: PanopticSet, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": p.id, "width": p.width, "height": p.height} for p in truth.photos],
        "annotations": [{**a, "id": i} for i, a in enumerate(annotations, start=1)],
        "categories": [{"id": c.id, "name": c.name} for c in truth.categories if c.isthing],
    }


def _thing_segments(
    panoptic: PanopticSet, photo: Photo, things: set[int]
) -> Iterator[tuple[dict[str, Any], float | None]]:
    ids = panoptic.segment_ids(photo)
    for segment in photo.segments:
        if segment.category_id in things:
            instance = {
                "image_id": photo.id,
                "category_id": segment.category_id,
                "bbox": list(segment.bbox),
                "area": segment.area,
                "iscrowd": int(segment.iscrowd),
                "segmentation": encode_mask(ids == segment.id),
            }
            yield instance, segment.score
