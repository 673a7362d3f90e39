"""Predicting the segments and instances of photos, in batches of photos of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from conversion.coco.panoptic import Photo, Segment, measure
from conversion.coco.png import SegmentIds
from conversion.coco.results import Result
from conversion.coco.rle import encode_mask
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
    """What is written for one photo: its segments, (H, W) uint32 segment ids, and instances."""

    photo: Photo
    ids: SegmentIds
    instances: list[Result]


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
    """Return the prediction for photo `index` of a batch."""
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
    masks = predictor.model.masks(output, torch.full_like(query, index), query)
    boxes = last.cxcywh_norm[index, query]
    return [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]


def _segments(ids: SegmentIds, regions: list[Region]) -> tuple[Segment, ...]:
    """Return segments with the area and box of their pixels; their ids are 1, 2, ..."""
    measured = measure(ids)
    return tuple(
        Segment(index, region.category.id, *measured[index], score=round(region.score, 4))
        for index, region in enumerate(regions, start=1)
    )


def _instance(candidate: Candidate, photo: DecodedPhoto) -> Result:
    """Return one instance with rounded numbers, which keep the file small."""
    height, width = photo.pixels.shape[:2]
    mask = enlarge(candidate.mask, width=width, height=height) > 0
    x, y, w, h = norm_to_pixels(candidate.cxcywh_norm, width=width, height=height).tolist()
    return Result(
        image_id=photo.id,
        category_id=candidate.detection.category.id,
        xywh=(round(x, 2), round(y, 2), round(w, 2), round(h, 2)),
        score=round(candidate.detection.score, 4),
        rle=encode_mask(mask.numpy()),
    )
