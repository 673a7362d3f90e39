"""Boxes: from one format to another; what torchvision has is taken from there."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou, generalized_box_iou_loss


def to_xyxy(cxcywh: Tensor) -> Tensor:
    """(..., 4) centre and size to corners."""
    corners: Tensor = box_convert(cxcywh, "cxcywh", "xyxy")
    return corners


def giou_matrix(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(N, M) generalised IoU of (N, 4) and (M, 4) boxes."""
    matrix: Tensor = generalized_box_iou(to_xyxy(cxcywh), to_xyxy(other_cxcywh))
    return matrix


def giou_pairs(cxcywh: Tensor, other_cxcywh: Tensor) -> Tensor:
    """(..., ) generalised IoU of boxes that stand at the same place in both (..., 4) arrays.

    Areas of small boxes lie far below torchvision's own epsilon, which would change their IoU; this
    one only keeps two boxes without area from being no number.
    """
    loss: Tensor = generalized_box_iou_loss(to_xyxy(cxcywh), to_xyxy(other_cxcywh), eps=1e-20)
    return 1 - loss


def norm_to_pixels(cxcywh_norm: Tensor, *, width: int, height: int) -> Tensor:
    """(N, 4) cxcywh in 0..1 to xywh in pixels of the photo, cut at its border."""
    limit = torch.tensor([width, height, width, height], device=cxcywh_norm.device)
    corners = to_xyxy(cxcywh_norm).clamp(0, 1) * limit
    pixels: Tensor = box_convert(corners, "xyxy", "xywh")
    return pixels
