"""The single losses, each as a sum."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GAMMA = 1.5  # of the matching-aware loss, as published


def matching_aware_loss(logits: Tensor, quality: Tensor, counted: Tensor) -> Tensor:
    """(L,) sums of the matching-aware loss of (L, B, Q, classes) logits (Huang et al., DEIM, CVPR
    2025).

    `quality` has for each thing's class the IoU of the boxes, elsewhere -1; `counted` (L, B, Q) is
    False for queries that learn nothing unless they answer for a thing.
    """
    matched = quality >= 0
    target = quality.clamp(min=0) ** GAMMA
    weight = torch.where(matched, 1.0, logits.detach().sigmoid() ** GAMMA * counted[..., None])
    each = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    return each.flatten(1).sum(1)


def entropy_and_dice(logits: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(K,) cross entropy, its mean over known pixels, and dice loss (Milletari et al., 3DV 2016).

    Logits and `wanted` (K, h, w), `known` (h, w); both hold shares of each place in 0..1.
    """
    logits, wanted, known = logits.flatten(1), wanted.flatten(1), known.flatten()
    entropy = F.softplus(logits) @ known - (logits * wanted).sum(1)
    chance = logits.sigmoid()
    overlap = 2 * (chance * wanted).sum(1) + 1
    dice = 1 - overlap / (chance @ known + wanted.sum(1) + 1)
    return entropy / known.sum().clamp(min=1), dice


def semantic_loss(logits: Tensor, classes: Tensor, masks: Tensor) -> Tensor:
    """Sum over the pixels of the cross entropy of class logits (C, h, w).

    `masks` (K, h, w) are the shares of segments of the `classes` (K,).
    """
    wanted = torch.zeros_like(logits).index_add_(0, classes, masks)
    return -(wanted * logits.log_softmax(0)).sum()
