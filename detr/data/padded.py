"""Arrays of different sizes as one batch, padded to a common size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padded:
    """A padded batch: `values` (B, C, H, W) and `padding` (B, H, W) bool, True in the padding."""

    values: Tensor
    padding: Tensor

    def to(self, device: torch.device) -> Padded:
        """Move both tensors to a device."""
        return Padded(self.values.to(device), self.padding.to(device))

    def select(self, photos: Tensor) -> Padded:
        """Return the photos with the indices `photos` (P,)."""
        return Padded(self.values[photos], self.padding[photos])


def pad(arrays: Sequence[Tensor]) -> Padded:
    """Copy (C, h, w) arrays into the top left corners of one (B, C, H, W) batch of zeros.

    If the arrays are channels-last in memory, so is the batch.
    """
    height = max(array.shape[1] for array in arrays)
    width = max(array.shape[2] for array in arrays)
    count, channels = len(arrays), arrays[0].shape[0]
    new = arrays[0].new_empty if len({a.shape for a in arrays}) == 1 else arrays[0].new_zeros
    if arrays[0].stride(0) == 1:
        values = new(count, height, width, channels).permute(0, 3, 1, 2)
    else:
        values = new(count, channels, height, width)
    padding = torch.ones(count, height, width, dtype=torch.bool, device=values.device)
    for index, array in enumerate(arrays):
        _, h, w = array.shape
        values[index, :, :h, :w] = array
        padding[index, :h, :w] = False
    return Padded(values, padding)
