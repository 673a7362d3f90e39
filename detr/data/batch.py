"""Batches: the inputs of a model and the segments to train on."""

from __future__ import annotations

from dataclasses import dataclass

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
