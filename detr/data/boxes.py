"""Conversions and overlaps of boxes, computed by torchvision."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou, generalized_box_iou_loss


def to_xyxy(cxcywh: Tensor) -> Tensor:
    """(..., 4) centre and size to corners."""
    xyxy: Tensor = box_convert(cxcywh, "cxcywh", "xyxy")
    return xyxy


def giou_matrix(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(N, M) generalised IoU of each of N boxes (N, 4) with each of M boxes (M, 4)."""
    matrix: Tensor = generalized_box_iou(to_xyxy(cxcywh), to_xyxy(other_cxcywh))
    return matrix


def giou_pairs(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(...) generalised IoU of each box (..., 4) with the other box at the same index (..., 4).

    The areas of small boxes are far below torchvision's default epsilon, which would change their
    IoU. The epsilon used here only prevents NaN for two boxes without area.
    """
    loss: Tensor = generalized_box_iou_loss(to_xyxy(cxcywh), to_xyxy(other_cxcywh), eps=1e-20)
    return 1 - loss


def iou_pairs(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(...) IoU of each box (..., 4) with the other box at the same index (..., 4)."""
    a, b = to_xyxy(cxcywh), to_xyxy(other_cxcywh)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    overlap = sides.clamp(min=0).prod(-1)
    union = cxcywh[..., 2:].prod(-1) + other_cxcywh[..., 2:].prod(-1) - overlap
    return overlap / union.clamp(min=1e-12)


def to_cxcywh(xywh: Tensor) -> Tensor:
    """(..., 4) corner and size to centre and size."""
    cxcywh: Tensor = box_convert(xywh, "xywh", "cxcywh")
    return cxcywh


def norm_to_pixels(cxcywh_norm: Tensor, *, width: int, height: int) -> Tensor:
    """(N, 4) cxcywh in 0..1 to xywh in pixels, clipped to the photo."""
    limit = torch.tensor([width, height, width, height], device=cxcywh_norm.device)
    xyxy = to_xyxy(cxcywh_norm).clamp(0, 1) * limit
    xywh: Tensor = box_convert(xyxy, "xyxy", "xywh")
    return xywh
