"""The precision that a model computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from detr.kernels.torch_private import has_avx512_bf16


def has_bfloat16(device: str) -> bool:
    """Return whether a device has bfloat16 instructions, without which float32 is faster.

    `device` is "cuda" or "cpu".
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and has_avx512_bf16()


def autocast(device: str, precision: str) -> AbstractContextManager[object]:
    """Run suitable operations in bfloat16, if the configured `precision` allows it."""
    enabled = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.autocast(device, torch.bfloat16, enabled=enabled)
