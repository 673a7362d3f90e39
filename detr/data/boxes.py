"""Conversions and overlaps of boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def to_xyxy(cxcywh: Tensor) -> Tensor:
    """(..., 4) centre and size to corners."""
    cx, cy, w, h = cxcywh.unbind(-1)
    return torch.stack((cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h), -1)


def giou_matrix(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(N, M) generalised IoU of each of N boxes (N, 4) with each of M boxes (M, 4)."""
    from torchvision.ops import generalized_box_iou  # takes two seconds, and only training needs it

    matrix: Tensor = generalized_box_iou(to_xyxy(cxcywh), to_xyxy(other_cxcywh))
    return matrix


def giou_pairs(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(...) generalised IoU of each box (..., 4) with the other box at the same index (..., 4).

    The areas of small boxes are far below torchvision's default epsilon, which would change their
    IoU. The epsilon used here only prevents NaN for two boxes without area.
    """
    from torchvision.ops import generalized_box_iou_loss  # as above

    loss: Tensor = generalized_box_iou_loss(to_xyxy(cxcywh), to_xyxy(other_cxcywh), eps=1e-20)
    return 1 - loss


def iou_pairs(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(...) IoU of each box (..., 4) with the other box at the same index (..., 4)."""
    overlap = _overlap(to_xyxy(cxcywh), to_xyxy(other_cxcywh))
    union = cxcywh[..., 2:].prod(-1) + other_cxcywh[..., 2:].prod(-1) - overlap
    return overlap / union.clamp(min=1e-12)


def iou_matrix(xywh: Tensor) -> Tensor:
    """(N, N) IoU of each of N boxes (N, 4) with each other; NaN for two boxes without area."""
    xyxy = torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), -1)
    areas = (xyxy[:, 2:] - xyxy[:, :2]).prod(-1)
    overlap = _overlap(xyxy[:, None], xyxy)
    return overlap / (areas[:, None] + areas - overlap)


def _overlap(xyxy: Tensor, other_xyxy: Tensor) -> Tensor:
    """(...) area of the intersection of boxes (..., 4)."""
    low = torch.maximum(xyxy[..., :2], other_xyxy[..., :2])
    high = torch.minimum(xyxy[..., 2:], other_xyxy[..., 2:])
    return (high - low).clamp(min=0).prod(-1)


def to_cxcywh(xywh: Tensor) -> Tensor:
    """(..., 4) corner and size to centre and size."""
    corner, size = xywh[..., :2], xywh[..., 2:]
    return torch.cat(((corner + (corner + size)) / 2, (corner + size) - corner), -1)


def norm_to_pixels(cxcywh_norm: Tensor, *, width: int, height: int) -> Tensor:
    """(N, 4) cxcywh in 0..1 to xywh in pixels, clipped to the photo."""
    limit = torch.tensor([width, height, width, height], device=cxcywh_norm.device)
    xyxy = to_xyxy(cxcywh_norm).clamp(0, 1) * limit
    return torch.cat((xyxy[..., :2], xyxy[..., 2:] - xyxy[..., :2]), -1)
