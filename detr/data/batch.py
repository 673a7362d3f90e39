"""Batches: the inputs of a model and the segments to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from detr.data.padded import Padded
from detr.data.targets import SegmentMap


@dataclass(frozen=True)
class CachedOutput:
    """A frozen box model's output for a batch: everything that the mask head reads."""

    features: list[Padded]  # strides 4, 8, 16, 32
    logits: Tensor  # (L, B, Q, classes + 1)
    cxcywh_norm: Tensor  # (L, B, Q, 4)
    embeddings: Tensor  # (B, Q, D), the last decoder layer's output
    memory: Tensor  # (B, D, H, W), the encoder's output


@dataclass(frozen=True)
class Batch:
    """Photos, or cached outputs for them, and their segments."""

    # normalised photos (B, 3, H, W); features of the backbone, finest first; a box model's output
    inputs: Padded | list[Padded] | CachedOutput
    targets: list[SegmentMap]

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors."""
        yield from _tensors_in(self.inputs)
        yield from _tensors_in(self.targets)


def _tensors_in(part: Any) -> Iterator[Tensor]:
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, list):
        for one in part:
            yield from _tensors_in(one)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _tensors_in(getattr(part, field.name))
