"""Conversion of the published variant's queries to the segments and instances of one photo."""

from __future__ import annotations

import torch

from conversion.coco.results import Result
from detr.data.boxes import norm_to_pixels
from detr.model.detr import Output
from detr.model.segmentation import DETRsegm
from detr.prediction.postprocess import Candidate, assign_pixels, enlarge, find_detections
from detr.prediction.predictor import Predictor
from detr.prediction.results import (
    MAX_INSTANCES,
    DecodedPhoto,
    PhotoPrediction,
    to_prediction,
    to_result,
)


def predict_photo(
    predictor: Predictor, model: DETRsegm, photo: DecodedPhoto, output: Output, index: int
) -> PhotoPrediction:
    """Return the prediction for photo `index` of a batch."""
    candidates = _candidates(predictor, model, output, index)
    height, width = photo.size
    kept = [c for c in candidates if predictor.is_segment(c.detection)]
    ids, regions = assign_pixels(kept, width=width, height=height)
    things = sorted(
        (c for c in candidates if predictor.is_instance(c.detection)),
        key=lambda c: -c.detection.score,
    )
    return to_prediction(photo, ids, regions, [_instance(c, photo) for c in things[:MAX_INSTANCES]])


def _candidates(
    predictor: Predictor, model: DETRsegm, output: Output, index: int
) -> list[Candidate]:
    """Return the detections of photo `index` above a threshold, with masks and boxes.

    Masks are computed only for these detections.
    """
    last = output.layers[-1]
    min_score = min(predictor.threshold, predictor.thresholds.instance)
    found = [
        detection
        for detection in find_detections(last.logits[index], predictor.classes, min_score=min_score)
        if predictor.is_segment(detection) or predictor.is_instance(detection)
    ]
    query = torch.tensor([d.query for d in found], dtype=torch.int64, device=predictor.device)
    masks = model.masks(output, torch.full_like(query, index), query)
    boxes = last.cxcywh_norm[index, query]
    return [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]


def _instance(candidate: Candidate, photo: DecodedPhoto) -> Result:
    """Return one instance."""
    height, width = photo.size
    detection = candidate.detection
    mask = (enlarge(candidate.mask, width=width, height=height) > 0).numpy()
    x, y, w, h = norm_to_pixels(candidate.cxcywh_norm, width=width, height=height).tolist()
    return to_result(photo, detection.category, detection.score, mask=mask, xywh=(x, y, w, h))
