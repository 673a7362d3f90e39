"""The locations of all levels of the pyramid as one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detr.model.fast.sizes import Size

STRIDES = (8, 16, 32)
ANCHOR = 2  # side of an anchor box, in strides of its level


@dataclass(frozen=True)
class Places:
    """The N locations of a batch, level by level, row by row, padded to the largest photo.

    `photo_in_level` is the fraction of each level's width and height that a photo covers.
    """

    tokens: Tensor  # (B, N, D)
    padding_mask: Tensor  # (B, N) bool, True outside the photo
    anchors_norm: Tensor  # (B, N, 4) cxcywh
    shapes: tuple[Size, ...]  # height and width of each level
    photo_in_level: Tensor  # (B, levels, 2) x, y

    @property
    def lengths(self) -> list[int]:
        """The number of locations of each level."""
        return [height * width for height, width in self.shapes]


def to_places(levels: Sequence[Tensor], sizes: Sequence[Size]) -> Places:
    """Flatten the levels (B, D, h, w) of strides 8, 16, 32 of photos of these sizes."""
    shapes = tuple((level.shape[2], level.shape[3]) for level in levels)
    tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
    centres, strides = _centres(shapes, tokens.device)
    limits = torch.tensor([(w, h) for h, w in sizes], device=tokens.device)[:, None]  # (B, 1, 2)
    corners = centres - strides[:, None] / 2
    padding_mask = (corners >= limits).any(-1)  # (B, N)
    sides = (ANCHOR * strides)[:, None].expand_as(centres)
    anchors = torch.cat([centres / limits, sides / limits], -1).clamp(0.0, 1.0)
    extents = torch.tensor(
        [(w * s, h * s) for (h, w), s in zip(shapes, STRIDES, strict=True)], device=tokens.device
    )
    return Places(tokens, padding_mask, anchors, shapes, limits / extents)


def count_places(size: Size) -> int:
    """Return the number of locations of a photo of this size, without padding."""
    height, width = size
    return sum(-(-height // stride) * -(-width // stride) for stride in STRIDES)


def _centres(shapes: Sequence[Size], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the centres (N, 2) x, y of all locations in pixels, and the stride (N,) of each."""
    centres, strides = [], []
    for (height, width), stride in zip(shapes, STRIDES, strict=True):
        rows, columns = (torch.arange(n, device=device) + 0.5 for n in (height, width))
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # (h, w, 2)
        centres.append(grid.flatten(0, 1) * stride)
        strides.append(torch.full((height * width,), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)
