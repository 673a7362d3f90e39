"""Deformable attention: each query samples a few points around its box on every level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels.layers import Linear
from detr.model.fast.places import STRIDES, Places

POINTS = 4  # sampled per head and level


@dataclass(frozen=True)
class ValueMaps:
    """Values (B heads, D / heads, h, w) float32 of each level, zero outside the photo."""

    levels: tuple[Tensor, ...]
    photo_in_level: Tensor  # (B, levels, 2) x, y fraction of each level that is photo


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention (Zhu et al., ICLR 2021) with boxes as reference points."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.shape = (heads, len(STRIDES), POINTS)
        self.sampling_offsets = nn.Linear(dim, math.prod(self.shape) * 2)
        self.attention_weights = nn.Linear(dim, math.prod(self.shape))
        self.output_proj = nn.Linear(dim, dim)
        self._reset_sampling()

    @torch.no_grad()
    def _reset_sampling(self) -> None:
        """Initialise the offsets so that each head samples one direction, up to the box's side."""
        heads, levels, points = self.shape
        for layer in (self.sampling_offsets, self.attention_weights):
            layer.weight.zero_()
            layer.bias.zero_()
        angles = torch.arange(heads) * (2 * math.pi / heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)  # (heads, 2)
        distances = (torch.arange(points) + 1) / points
        offsets = directions[:, None, None] * distances[:, None]  # (heads, 1, points, 2)
        self.sampling_offsets.bias.copy_(offsets.expand(heads, levels, points, 2).flatten())

    def forward(self, query: Tensor, cxcywh_norm: Tensor, memory: ValueMaps) -> Tensor:
        """Attend from queries (B, Q, D) with boxes (B, Q, 4); returns (B, Q, D)."""
        heads, levels, points = self.shape
        batch, count, _ = query.shape
        offsets = self.sampling_offsets(query).float().view(batch, count, heads, levels, points, 2)
        centre, extent = torch.split(cxcywh_norm[:, :, None, None, None], 2, -1)
        at = (centre + offsets * extent / 2) * memory.photo_in_level[:, None, None, :, None]
        grid = (2 * at - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)  # (B heads, levels, Q, P, 2)
        weights = self.attention_weights(query).float().view(batch, count, heads, levels * points)
        weights = weights.softmax(-1).transpose(1, 2).flatten(0, 1)[:, None]  # (B heads, 1, Q, LP)

        sampled = [
            F.grid_sample(values, grid[:, level], align_corners=False)  # (B heads, D / heads, Q, P)
            for level, values in enumerate(memory.levels)
        ]
        mixed = (torch.cat(sampled, -1) * weights).sum(-1)  # (B heads, D / heads, Q)
        return torch.as_tensor(self.output_proj(mixed.view(batch, -1, count).transpose(1, 2)))


class SampledMemory(nn.Module):
    """The value maps that all decoder layers sample.

    All layers share one value projection, which costs less than one per layer. D-FINE (Peng et al.,
    ICLR 2025) omits the projection altogether.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value_proj = Linear(dim, dim)

    def forward(self, places: Places) -> ValueMaps:
        """Project the tokens to one value map per level, with zeros at padding."""
        value = self.value_proj(places.tokens).float()
        value = value.masked_fill(places.padding_mask[..., None], 0)
        levels = torch.split(value, places.lengths, 1)
        maps = [
            level.transpose(1, 2).reshape(len(value) * self.heads, -1, *shape)
            for level, shape in zip(levels, places.shapes, strict=True)
        ]
        return ValueMaps(tuple(maps), places.photo_in_level)
