"""The segments and instances that the published variant predicts for one photo."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from conversion.coco.png import SegmentIds
from conversion.coco.results import Result
from detr.data.boxes import norm_to_pixels
from detr.model.detr import Output
from detr.model.segmentation import DETRsegm
from detr.prediction.postprocess import (
    Candidate,
    Region,
    assign_pixels,
    enlarge,
    find_detections,
)
from detr.prediction.predictor import Predictor
from detr.prediction.results import MAX_INSTANCES, DecodedPhoto, to_result
from detr.weights.thresholds import SegmentThresholds


@dataclass(frozen=True)
class DetrPhoto:
    """The candidates that DETR found in one photo, above the lowest score that is asked for."""

    photo: DecodedPhoto
    candidates: list[Candidate]

    def above(self, thresholds: SegmentThresholds) -> tuple[int, ...]:
        """Return the indices of the candidates that may become segments."""
        found = ((i, candidate.detection) for i, candidate in enumerate(self.candidates))
        return tuple(
            i for i, d in found if d.beats_no_object and d.score > thresholds.of(d.category)
        )

    def segments(
        self, thresholds: SegmentThresholds, *, size: tuple[int, int]
    ) -> tuple[SegmentIds, list[Region]]:
        """Return the segment ids of `size` (height, width) and their regions."""
        height, width = size
        kept = [self.candidates[index] for index in self.above(thresholds)]
        return assign_pixels(kept, width=width, height=height)

    def instances(self, min_score: float) -> list[Result]:
        """Return the instances of things above a score, the highest first."""
        detections = [candidate.detection for candidate in self.candidates]
        things = [i for i, d in enumerate(detections) if d.category.isthing and d.score > min_score]
        things.sort(key=lambda index: -detections[index].score)
        return [self._instance(self.candidates[index]) for index in things[:MAX_INSTANCES]]

    def _instance(self, candidate: Candidate) -> Result:
        height, width = self.photo.size
        detection = candidate.detection
        mask = (enlarge(candidate.mask, width=width, height=height) > 0).numpy()
        x, y, w, h = norm_to_pixels(candidate.cxcywh_norm, width=width, height=height).tolist()
        return to_result(
            self.photo, detection.category, detection.score, mask=mask, xywh=(x, y, w, h)
        )


def find_in_photo(
    predictor: Predictor, model: DETRsegm, photo: DecodedPhoto, output: Output, index: int
) -> DetrPhoto:
    """Return the candidates of photo `index` of a batch.

    Masks are computed only for detections that may become segments or instances.
    """
    last, thresholds = output.layers[-1], predictor.thresholds
    min_score = min(thresholds.lowest, predictor.min_instance_score)
    found = [
        d
        for d in find_detections(last.logits[index], predictor.classes, min_score=min_score)
        if (d.category.isthing and d.score > predictor.min_instance_score)
        or (d.beats_no_object and d.score > thresholds.of(d.category))
    ]
    query = torch.tensor([d.query for d in found], dtype=torch.int64, device=predictor.device)
    masks = model.masks(output, torch.full_like(query, index), query)
    boxes = last.cxcywh_norm[index, query]
    candidates = [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]
    return DetrPhoto(photo, candidates)
