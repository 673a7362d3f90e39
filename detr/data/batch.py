"""What a model reads in one step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detr.data.padded import Padded
from detr.data.targets import SegmentMap


@dataclass(frozen=True)
class CachedOutput:
    """A frozen box model's output for a batch: all that the mask head learns from."""

    features: list[Padded]  # strides 4, 8, 16, 32
    logits: Tensor  # (L, B, Q, classes + 1)
    cxcywh_norm: Tensor  # (L, B, Q, 4)
    embeddings: Tensor  # (B, Q, D), the last decoder layer's output
    memory: Tensor  # (B, D, H, W), the encoder's output


@dataclass(frozen=True)
class Batch:
    """Photos, or what a cache has computed of them, and their segments."""

    # normalised photos (B, 3, H, W); features of the backbone, finest first; a box model's output
    inputs: Padded | list[Padded] | CachedOutput
    targets: list[SegmentMap]
