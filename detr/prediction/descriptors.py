"""Descriptors of photos, by which photos that look alike can be found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from annotation.photos.files import read_photo
from base.progress import track
from detr.data.colours import normalise
from detr.data.padded import pad
from detr.data.view import whole_view
from detr.model.fast.detr import FastDETR
from detr.prediction.predictor import Predictor
from detr.prediction.sources import PhotoList


@torch.no_grad()
def describe_photos(predictor: Predictor, photos: PhotoList) -> NDArray[np.float32]:
    """Return (N, C) unit vectors: the mean of the backbone's features at stride 32 of each photo.

    Raises InputError if a photo cannot be read.
    """
    paths: Iterable[str] = track(photos.names, "describe", total=len(photos.names))
    found = [_describe(predictor, read_photo(photos.root / name)) for name in paths]
    return np.stack(found) if found else np.zeros((0, 1), np.float32)


def _describe(predictor: Predictor, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    view = whole_view(predictor.config, width=width, height=height)
    image = normalise(view.transform_photo(pixels), predictor.config.backbone)
    model = predictor.model
    backbone = model.backbone if isinstance(model, FastDETR) else model.detr.backbone
    features = backbone[0](pad([image]).to(predictor.device))[-1].values
    return np.asarray(F.normalize(features.mean((2, 3)), dim=1)[0].cpu().numpy())
