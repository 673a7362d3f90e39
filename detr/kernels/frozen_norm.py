"""Batch norms with fixed statistics and parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class FrozenBatchNorm2d(nn.Module):
    """A batch norm whose statistics and parameters are buffers.

    torchvision has the same class, but importing it takes two seconds, and prediction needs nothing
    else from torchvision.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.register_buffer(name, torch.full((channels,), float(value)))
        self.register_load_state_dict_pre_hook(_drop_counter)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        scale, shift = scale_and_shift(self)
        return x * scale[:, None, None] + shift[:, None, None]


def scale_and_shift(norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the factors (C,) and the offsets (C,) of the norm."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def _drop_counter(_module: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    """Remove the number of batches, which weights of trainable norms contain."""
    state.pop(f"{prefix}num_batches_tracked", None)
