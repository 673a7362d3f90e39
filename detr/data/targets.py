"""A photo's segments as training targets: labels, boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from conversion.coco.png import SegmentIds


@dataclass(frozen=True)
class Target:
    """The N segments of one photo at the size (H, W) of the model's input."""

    image_id: int
    file_name: str
    size: tuple[int, int]
    labels: Tensor  # (N,) int64 class indices
    cxcywh_norm: Tensor  # (N, 4) float32
    masks: Tensor  # (N, H, W) bool

    def to(self, device: torch.device) -> Target:
        """Move all tensors to a device."""
        tensors = (self.labels, self.cxcywh_norm, self.masks)
        return Target(self.image_id, self.file_name, self.size, *(t.to(device) for t in tensors))


@dataclass(frozen=True)
class SegmentMap:
    """The same segments with one map instead of N masks, as returned by data loaders.

    For a large photo, the map takes a megabyte and the masks thirty. The masks are computed only on
    the model's device.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    labels: Tensor
    cxcywh_norm: Tensor
    indices: Tensor  # (H, W) uint8 or int16: 1 + index of the segment, 0 for none; (0, 0) if unused

    def to(self, device: torch.device) -> Target:
        """Move the segments to a device and compute their masks there."""
        labels, boxes, indices = (
            t.to(device) for t in (self.labels, self.cxcywh_norm, self.indices)
        )
        numbers = torch.arange(1, len(labels) + 1, dtype=indices.dtype, device=device)
        masks = indices == numbers[:, None, None]
        return Target(self.image_id, self.file_name, self.size, labels, boxes, masks)

    def without_masks(self) -> SegmentMap:
        """Remove the map, which a model without a mask head does not need."""
        return replace(self, indices=self.indices.new_zeros(0, 0))


@dataclass(frozen=True)
class VisibleSegments:
    """The wanted segments that are in a map of ids, and their positions."""

    wanted: list[int]  # indices into the wanted ids
    cxcywh_norm: NDArray[np.float32]  # (N, 4)
    indices: NDArray[Any]  # (H, W) uint8 or int16: 1 + index of the segment, 0 for none


def find_segments(ids: SegmentIds, wanted_ids: Sequence[int]) -> VisibleSegments:
    """Find segments in (H, W) uint32 segment ids; others count as void."""
    indices = _number(ids, wanted_ids)
    rectangles = ndimage.find_objects(indices, max_label=len(wanted_ids))
    visible = [i for i, rectangle in enumerate(rectangles) if rectangle is not None]
    if len(visible) < len(wanted_ids):  # renumber without gaps
        numbers = np.zeros(len(wanted_ids) + 1, indices.dtype)
        numbers[np.array(visible, np.int64) + 1] = np.arange(1, len(visible) + 1)
        indices = numbers[indices]
    height, width = indices.shape
    boxes = np.array([_cxcywh(*rectangles[i]) for i in visible], np.float32).reshape(-1, 4)
    boxes /= np.array([width, height] * 2, np.float32)
    return VisibleSegments(visible, boxes, indices)


def _number(ids: SegmentIds, wanted_ids: Sequence[int]) -> NDArray[Any]:
    """Replace each wanted id by 1 + its index and all others by 0; ids may have large gaps."""
    dtype = np.uint8 if len(wanted_ids) < 256 else np.int16
    table = np.zeros(max([int(ids.max()), *wanted_ids]) + 1, dtype)
    table[list(wanted_ids)] = np.arange(1, len(wanted_ids) + 1)
    numbered: NDArray[Any] = table[ids]
    return numbered


def _cxcywh(rows: slice, columns: slice) -> tuple[float, float, float, float]:
    """Return the centre and size, at least 1x1, of a rectangle in pixels."""
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return (columns.start + width / 2, rows.start + height / 2, width, height)
