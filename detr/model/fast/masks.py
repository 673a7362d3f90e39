"""Masks as dot products of query and pixel embeddings (Cheng et al., MaskFormer, NeurIPS 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

PIXEL = 4  # stride of the pixel embeddings
MARGIN = 0.55  # half of a box side, plus 10 %
FADING = 2.0  # subtracted from the logits for each stride-4 pixel beyond the margin ...
MOST_FADING = 10.0  # ... up to this


def mask_logits(
    embeddings: Tensor,
    pixels: Tensor,
    *,
    cxcywh_norm: Tensor,
    size: tuple[int, int],
    stride: int = PIXEL,
) -> Tensor:
    """Mask logits (K, h, w) of K queries of one photo.

    `embeddings` (K, E + 1) and boxes (K, 4) of the queries, `pixels` (E, h, w) of a photo of `size`
    (height, width) at `stride`. Logits are lowered outside the boxes, which get no gradient.
    """
    own = embeddings[:, :-1] / math.sqrt(len(pixels))
    logits = (own.to(pixels.dtype) @ pixels.flatten(1)).float() + embeddings[:, -1:].float()
    shape = pixels.shape[1], pixels.shape[2]
    fading = _fading(cxcywh_norm.detach(), size=size, shape=shape, stride=stride)
    return logits.view(-1, *shape) - fading


def _fading(
    cxcywh_norm: Tensor, *, size: tuple[int, int], shape: tuple[int, int], stride: int
) -> Tensor:
    """Return how much to lower the logits (K, h, w); 0 inside the boxes and close to them."""
    distances = []
    for side, count, centre, extent in zip(
        size, shape, cxcywh_norm[:, [1, 0]].T, cxcywh_norm[:, [3, 2]].T, strict=True
    ):
        centres = (torch.arange(count, device=cxcywh_norm.device) + 0.5) * stride
        beyond = (centres - side * centre[:, None]).abs() - MARGIN * side * extent[:, None]
        distances.append(beyond / PIXEL - 1)  # without penalty for the first pixel
    vertical, horizontal = distances
    farthest = torch.maximum(vertical[:, :, None], horizontal[:, None])
    return (farthest * FADING).clamp(0.0, MOST_FADING)
