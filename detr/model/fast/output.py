"""The outputs of `FastDETR` for a batch: predictions of locations, queries and pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DenseOutput:
    """The predictions of the dense head at each of N locations of strides 8, 16 and 32.

    `cxcywh_norm` has no gradient, because only a few of thousands of boxes are matched. `learn_at`
    computes boxes (K, 4) and mask embeddings (K, E + 1) with gradients, given the indices of their
    photos (K,) and locations (K,).
    """

    logits: Tensor  # (B, N, things)
    cxcywh_norm: Tensor  # (B, N, 4)
    learn_at: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    centres_norm: Tensor  # (B, N, 2) x and y of each location
    padding_mask: Tensor  # (B, N) bool, True for locations outside their photo


@dataclass(frozen=True)
class FastLayerOutput:
    """The predictions of one decoder layer: Q thing queries, then one query per stuff category.

    The first E values of a mask embedding are multiplied by the pixel embeddings; the last value is
    a bias.
    """

    logits: Tensor  # (B, Q, things)
    cxcywh_norm: Tensor  # (B, Q + stuff, 4); the whole photo for stuff
    mask_embeddings: Tensor  # (B, Q + stuff, E + 1)
    presence: Tensor  # (B, stuff) logits


@dataclass(frozen=True)
class FastOutput:
    """The predictions for a batch; those of the last decoder layer come last.

    `pixels` and `semantic` hold one array per photo, at stride 4, of the size h x w of that photo
    padded to a multiple of 32 pixels.
    """

    dense: DenseOutput | None  # None without thing categories
    layers: tuple[FastLayerOutput, ...]
    pixels: tuple[Tensor, ...]  # (E, h / 4, w / 4) embeddings
    semantic: tuple[Tensor, ...]  # (things + stuff, h / 4, w / 4) class logits; empty in evaluation
    sizes: tuple[tuple[int, int], ...]  # (height, width) of each photo without padding
    num_queries: tuple[int, ...]  # thing queries of each photo; the rest of Q is padding
