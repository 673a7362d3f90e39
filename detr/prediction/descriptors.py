"""Descriptors of photos, by which photos that look alike can be found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from annotation.photos.files import read_photo
from base.progress import track
from detr.config import TrainConfig
from detr.data.colours import normalise
from detr.data.padded import pad
from detr.data.view import whole_view
from detr.model.backbone import build_backbone
from detr.model.fast.detr import FastDETR
from detr.prediction.predictor import Predictor
from detr.prediction.sources import PhotoList

Descriptor = NDArray[np.float32]  # (C,) unit vector: the mean of the features at stride 32


def describe_photos(predictor: Predictor, photos: PhotoList) -> NDArray[np.float32]:
    """Return (N, C) unit vectors: the mean of the backbone's features at stride 32 of each photo.

    Raises InputError if a photo cannot be read.
    """
    model = predictor.model
    backbone = model.backbone if isinstance(model, FastDETR) else model.detr.backbone
    paths = [photos.root / name for name in photos.names]
    found = list(_describe(backbone, predictor.config, predictor.device, paths))
    return np.stack(found) if found else np.zeros((0, 1), np.float32)


def describe_untrained(paths: Iterable[Path]) -> Iterator[Descriptor]:
    """Yield the descriptor of each photo from a backbone that was trained on ImageNet only.

    It needs no run and no download, and the descriptors of a photo never change. Photos are reduced
    to a shorter side of 160 pixels: copies that are mirrored or cropped are found as well as at 224
    pixels, in half the time. Raises InputError if a photo cannot be read.
    """
    config = TrainConfig(backbone="efficientnet_lite0", min_size=160, max_size=320)
    backbone = build_backbone(config, pretrained=True).eval()
    # channels last takes half the time
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, threads would wait for each other at every layer
    try:
        yield from _describe(backbone, config, torch.device("cpu"), list(paths))
    finally:
        torch.set_num_threads(threads)


def _describe(
    backbone: nn.Sequential, config: TrainConfig, device: torch.device, paths: list[Path]
) -> Iterator[Descriptor]:
    for path in track(paths, "describe", total=len(paths)):
        pixels = read_photo(path)
        height, width = pixels.shape[:2]
        view = whole_view(config, width=width, height=height)
        image = normalise(view.transform_photo(pixels), config.backbone)
        with torch.inference_mode():
            features = backbone[0](pad([image]).to(device))[-1].values
            yield np.asarray(F.normalize(features.mean((2, 3)), dim=1)[0].cpu().numpy())
