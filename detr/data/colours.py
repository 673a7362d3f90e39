"""The colours of photos: random changes for training, and normalisation for the backbone."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]  # (H, W, 3) BGR


def normalise(bgr: Pixels, backbone: str) -> Tensor:
    """(H, W, 3) uint8 BGR to (3, H, W) float32 RGB, scaled as for the backbone's pretraining."""
    if backbone == "efficientnet_lite0":
        mean, std = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
    else:
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    values = np.arange(256, dtype=np.float32)
    rgb = np.empty((3, *bgr.shape[:2]), np.float32)
    for channel in range(3):  # a lookup table of the 256 possible values is four times as fast
        scaled = (values - np.float32(mean[channel])) / np.float32(std[channel])
        np.take(scaled, bgr[..., 2 - channel], out=rgb[channel], mode="clip")
    return torch.from_numpy(rgb)


def jitter_colours(bgr: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Multiply brightness, contrast and saturation by random factors within 1 ± `strength`.

    All three are linear, so one matrix applies them: contrast scales the distance from the photo's
    mean, saturation the distance from each pixel's grey.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    mixing = saturation * np.eye(3) + (1 - saturation) / 3
    shift = (1 - contrast) * brightness * bgr.mean()
    matrix = np.column_stack([contrast * brightness * mixing, np.full(3, shift)])
    jittered: Pixels = cv2.transform(np.ascontiguousarray(bgr), matrix)  # clips to 0..255
    return jittered
