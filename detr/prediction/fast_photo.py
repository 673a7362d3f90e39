"""The segments and instances that `FastDETR` predicts for one photo."""

from __future__ import annotations

from conversion.coco.results import Result
from detr.model.fast.output import FastOutput
from detr.prediction.fast_segments import (
    FastCandidate,
    FastThresholds,
    find_candidates,
    merge_candidates,
    to_instance,
)
from detr.prediction.predictor import Predictor
from detr.prediction.results import (
    MAX_INSTANCES,
    DecodedPhoto,
    PhotoPrediction,
    to_prediction,
    to_result,
)

STUFF = 0.5  # minimum presence of stuff, unless the minimum score of segments is higher


def predict_fast_photo(
    predictor: Predictor, photo: DecodedPhoto, output: FastOutput, index: int
) -> PhotoPrediction:
    """Return the prediction for photo `index` of a batch."""
    seen = output.sizes[index]
    candidates = find_candidates(output, index, predictor.classes, most=MAX_INSTANCES)
    thresholds = FastThresholds(predictor.threshold, max(STUFF, predictor.threshold))
    ids, regions = merge_candidates(candidates, thresholds, seen=seen, size=photo.size)
    least = predictor.thresholds.instance
    things = [c for c in candidates if c.category.isthing and c.score > least]
    things.sort(key=lambda candidate: -candidate.score)
    return to_prediction(photo, ids, regions, [_instance(c, photo, seen) for c in things])


def _instance(candidate: FastCandidate, photo: DecodedPhoto, seen: tuple[int, int]) -> Result:
    """Return one instance.

    `seen` is the size (height, width) at which the model read the photo.
    """
    found = to_instance(candidate, seen=seen, size=photo.size)
    return to_result(photo, found.category, found.score, mask=found.mask, xywh=found.xywh)
