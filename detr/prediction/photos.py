"""The segments and instances that a model predicts for photos, in batches of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from conversion.coco.panoptic import Photo, Segment, measure
from conversion.coco.png import SegmentIds
from detr.data.boxes import norm_to_pixels
from detr.data.colours import normalise
from detr.data.padded import pad
from detr.data.view import whole_view
from detr.model.detr import Output
from detr.prediction.postprocess import (
    Candidate,
    Region,
    assign_pixels,
    enlarge,
    find_detections,
)
from detr.prediction.predictor import Predictor

MAX_INSTANCES = 100  # per photo


@dataclass(frozen=True)
class DecodedPhoto:
    """A photo in memory; `file_name` is relative to the folder of photos."""

    id: int
    file_name: str
    pixels: NDArray[np.uint8]  # (H, W, 3) BGR


@dataclass(frozen=True)
class PhotoPrediction:
    """What is written for one photo; instances are in COCO's results format."""

    photo: Photo
    ids: SegmentIds
    instances: list[dict[str, Any]]


def predict_photos(
    predictor: Predictor, photos: Iterable[DecodedPhoto]
) -> Iterator[PhotoPrediction]:
    """Predict photos in order; consecutive photos of one size form a batch."""
    batch: list[DecodedPhoto] = []
    for photo in photos:
        is_full = len(batch) == predictor.config.batch_size
        if batch and (is_full or photo.pixels.shape != batch[0].pixels.shape):
            yield from _predict_batch(predictor, batch)
            batch = []
        batch.append(photo)
    if batch:
        yield from _predict_batch(predictor, batch)


@torch.no_grad()
def _predict_batch(predictor: Predictor, photos: list[DecodedPhoto]) -> list[PhotoPrediction]:
    config = predictor.config
    height, width = photos[0].pixels.shape[:2]
    view = whole_view(config, width=width, height=height)
    images = [normalise(view.transform_photo(p.pixels), config.backbone) for p in photos]
    output = predictor.model.detr(pad(images).to(predictor.device))
    return [_predict_photo(predictor, photo, output, i) for i, photo in enumerate(photos)]


def _predict_photo(
    predictor: Predictor, photo: DecodedPhoto, output: Output, index: int
) -> PhotoPrediction:
    """The prediction for photo `index` of a batch; masks are computed only if they may count."""
    candidates = _candidates(predictor, output, index)
    height, width = photo.pixels.shape[:2]
    kept = [c for c in candidates if predictor.is_segment(c.detection)]
    ids, regions = assign_pixels(kept, width=width, height=height)
    things = sorted(
        (c for c in candidates if predictor.is_instance(c.detection)),
        key=lambda c: -c.detection.score,
    )
    return PhotoPrediction(
        Photo(photo.id, photo.file_name, width, height, "", _segments(ids, regions)),
        ids,
        [_instance(c, photo) for c in things[:MAX_INSTANCES]],
    )


def _candidates(predictor: Predictor, output: Output, index: int) -> list[Candidate]:
    """The detections of photo `index` that may count, with their masks and boxes."""
    last = output.layers[-1]
    min_score = min(predictor.threshold, predictor.thresholds.instance)
    found = [
        detection
        for detection in find_detections(last.logits[index], predictor.classes, min_score=min_score)
        if predictor.is_segment(detection) or predictor.is_instance(detection)
    ]
    query = torch.tensor([d.query for d in found], dtype=torch.int64, device=predictor.device)
    masks = predictor.model.masks(output, torch.full_like(query, index), query)
    boxes = last.cxcywh_norm[index, query]
    return [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]


def _segments(ids: SegmentIds, regions: list[Region]) -> tuple[Segment, ...]:
    """Segments with the area and box of their pixels; their ids are 1, 2, ..."""
    measured = measure(ids)
    return tuple(
        Segment(index, region.category.id, *measured[index], score=round(region.score, 4))
        for index, region in enumerate(regions, start=1)
    )


def _instance(candidate: Candidate, photo: DecodedPhoto) -> dict[str, Any]:
    """One thing in COCO's results format."""
    height, width = photo.pixels.shape[:2]
    mask = enlarge(candidate.mask, width=width, height=height) > 0
    encoded = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    box = norm_to_pixels(candidate.cxcywh_norm, width=width, height=height)
    return {
        "image_id": photo.id,
        "category_id": candidate.detection.category.id,
        "bbox": [round(value, 2) for value in box.tolist()],
        "score": round(candidate.detection.score, 4),
        "segmentation": {**encoded, "counts": encoded["counts"].decode()},
    }
