"""The individual loss terms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GAMMA = 1.5  # of the matching-aware loss, as published


def matching_aware_loss(logits: Tensor, quality: Tensor, counted: Tensor) -> Tensor:
    """Return (L,) sums of the matching-aware loss of DEIM (Huang et al., CVPR 2025).

    `quality`, shaped as the logits (L, B, Q, classes), is the IoU of the boxes at the class of the
    matched thing and -1 elsewhere. Classes with -1 are negatives, except for queries where
    `counted` (L, B, Q) is False.
    """
    matched = quality >= 0
    target = quality.clamp(min=0) ** GAMMA
    weight = torch.where(matched, 1.0, logits.detach().sigmoid() ** GAMMA * counted[..., None])
    each = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    return each.flatten(1).sum(1)


def entropy_and_dice(logits: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross entropy over known pixels and the dice loss, both (K,).

    Logits and `wanted` are (K, h, w), `known` is (h, w); `wanted` and `known` are covered fractions
    in 0..1. The dice loss is that of Milletari et al., 3DV 2016, but without squares.
    """
    logits, wanted, known = logits.flatten(1), wanted.flatten(1), known.flatten()
    entropy = F.softplus(logits) @ known - (logits * wanted).sum(1)
    probability = logits.sigmoid()
    overlap = 2 * (probability * wanted).sum(1) + 1
    dice = 1 - overlap / (probability @ known + wanted.sum(1) + 1)
    return entropy / known.sum().clamp(min=1), dice


def semantic_loss(logits: Tensor, classes: Tensor, masks: Tensor) -> Tensor:
    """Return the sum over pixels of the cross entropy of class logits (C, h, w).

    `masks` (K, h, w) are the covered fractions of segments with these `classes` (K,).
    """
    wanted = torch.zeros_like(logits).index_add_(0, classes, masks)
    return -(wanted * logits.log_softmax(0)).sum()
