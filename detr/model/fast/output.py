"""What `FastDETR` predicts for a batch: places, queries and pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DenseOutput:
    """What the dense head predicts for each of N places of strides 8, 16 and 32.

    Boxes have no gradient, since all but a few of thousands learn nothing. `learn_at` computes
    those that do, (K, 4), and their mask embeddings (K, E + 1), from the indices of their photos
    (K,) and places (K,).
    """

    logits: Tensor  # (B, N, things)
    cxcywh_norm: Tensor  # (B, N, 4)
    learn_at: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    centres_norm: Tensor  # (B, N, 2) x and y of each place
    padding_mask: Tensor  # (B, N) bool, True where a place lies outside of its photo


@dataclass(frozen=True)
class FastLayerOutput:
    """What one decoder layer predicts: Q thing queries, then one query for each stuff category.

    A mask is the product of its query's embedding, the first E values, with the photo's pixel
    embeddings, plus the last value.
    """

    logits: Tensor  # (B, Q, things)
    cxcywh_norm: Tensor  # (B, Q + stuff, 4); of stuff the whole photo
    mask_embeddings: Tensor  # (B, Q + stuff, E + 1)
    presence: Tensor  # (B, stuff) logits


@dataclass(frozen=True)
class FastOutput:
    """The predictions for a batch; those of the last decoder layer come last.

    `pixels` and `semantic` hold one array for each photo, as large as that photo, padded to a
    multiple of 32 pixels, at stride 4.
    """

    dense: DenseOutput | None  # None where there are no thing categories
    layers: tuple[FastLayerOutput, ...]
    pixels: tuple[Tensor, ...]  # (E, h / 4, w / 4) embeddings
    semantic: tuple[Tensor, ...]  # (things + stuff, h / 4, w / 4) class logits; empty in evaluation
    sizes: tuple[tuple[int, int], ...]  # (height, width) of each photo as the model sees it
    num_queries: tuple[int, ...]  # thing queries of each photo; the rest of Q is padding
