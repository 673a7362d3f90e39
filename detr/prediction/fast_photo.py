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
    input_size = output.sizes[index]
    candidates = find_candidates(output, index, predictor.classes, most=MAX_INSTANCES)
    thresholds = FastThresholds(predictor.threshold, max(STUFF, predictor.threshold))
    ids, regions = merge_candidates(candidates, thresholds, seen=input_size, size=photo.size)
    min_score = predictor.thresholds.instance
    things = [c for c in candidates if c.category.isthing and c.score > min_score]
    things.sort(key=lambda candidate: -candidate.score)
    return to_prediction(photo, ids, regions, [_instance(c, photo, input_size) for c in things])


def _instance(candidate: FastCandidate, photo: DecodedPhoto, input_size: tuple[int, int]) -> Result:
    """Return one instance; `input_size` is the size (height, width) of the model's input."""
    found = to_instance(candidate, seen=input_size, size=photo.size)
    return to_result(photo, found.category, found.score, mask=found.mask, xywh=found.xywh)
