"""Predicting the segments and instances of photos, in batches of photos of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from detr.data.colours import normalise
from detr.data.padded import pad
from detr.data.view import whole_view
from detr.kernels.memory import explained_prediction_errors
from detr.model.fast.detr import FastDETR
from detr.prediction.fast_photo import FastPhoto, find_in_fast_photo
from detr.prediction.photo import DetrPhoto, find_in_photo
from detr.prediction.predictor import Predictor
from detr.prediction.results import DecodedPhoto, PhotoPrediction, to_prediction

MOST_AT_ONCE = 32  # photos, even if the model was trained with more on another machine


def predict_photos(
    predictor: Predictor, photos: Iterable[DecodedPhoto]
) -> Iterator[PhotoPrediction]:
    """Predict photos in order, with the predictor's thresholds."""
    for found in find_in_photos(predictor, photos):
        ids, regions = found.segments(predictor.thresholds, size=found.photo.size)
        instances = found.instances(predictor.min_instance_score)
        yield to_prediction(found.photo, ids, regions, instances)


def find_in_photos(
    predictor: Predictor, photos: Iterable[DecodedPhoto]
) -> Iterator[FastPhoto | DetrPhoto]:
    """Find the candidates of photos in order; consecutive photos of one size form a batch."""
    batch: list[DecodedPhoto] = []
    for photo in photos:
        is_full = len(batch) == min(predictor.config.batch_size, MOST_AT_ONCE)
        if batch and (is_full or photo.pixels.shape != batch[0].pixels.shape):
            yield from _explained(predictor, batch)
            batch = []
        batch.append(photo)
    if batch:
        yield from _explained(predictor, batch)


def _explained(predictor: Predictor, photos: list[DecodedPhoto]) -> Sequence[FastPhoto | DetrPhoto]:
    with explained_prediction_errors(predictor.config):
        return _find_in_batch(predictor, photos)


@torch.no_grad()
def _find_in_batch(
    predictor: Predictor, photos: list[DecodedPhoto]
) -> Sequence[FastPhoto | DetrPhoto]:
    config, model = predictor.config, predictor.model
    height, width = photos[0].size
    view = whole_view(config, width=width, height=height)
    images = [normalise(view.transform_photo(p.pixels), config.backbone) for p in photos]
    padded = pad(images).to(predictor.device)
    if isinstance(model, FastDETR):
        fast = model(padded)
        return [find_in_fast_photo(predictor, photo, fast, i) for i, photo in enumerate(photos)]
    output = model.detr(padded)
    return [find_in_photo(predictor, model, photo, output, i) for i, photo in enumerate(photos)]
