"""Where a feature lies in its photo, as a vector: fixed sines or a learned table."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from base.errors import InputError

MOST_PLACES = 50


class PositionEmbeddingSine(nn.Module):
    """Sines and cosines of the row and the column, both scaled to 0..2π over the unpadded area."""

    def __init__(self, num_pos_feats: int, temperature: float = 10000) -> None:
        super().__init__()
        self.num_pos_feats = num_pos_feats
        self.temperature = temperature

    def forward(self, padding: Tensor) -> Tensor:
        """(B, H, W) bool padding to (B, 2 * num_pos_feats, H, W): rows first, then columns."""
        seen = (~padding).float()
        rows = seen.cumsum(1)  # (B, H, W), 1, 2, 3, ... down each column
        columns = seen.cumsum(2)
        rows = rows / (rows[:, -1:, :] + 1e-6) * 2 * math.pi
        columns = columns / (columns[:, :, -1:] + 1e-6) * 2 * math.pi
        return torch.cat([self._waves(rows), self._waves(columns)], dim=3).permute(0, 3, 1, 2)

    def _waves(self, angles: Tensor) -> Tensor:
        """(B, H, W) to (B, H, W, num_pos_feats); sine and cosine of one frequency alternate."""
        pairs = torch.arange(self.num_pos_feats // 2, device=angles.device)
        frequencies = self.temperature ** (-2 * pairs / self.num_pos_feats)
        phases = angles[..., None] * frequencies  # (B, H, W, num_pos_feats / 2)
        return torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(3)


class PositionEmbeddingLearned(nn.Module):
    """One learned vector a row and a column, for up to 50 of each, as published."""

    def __init__(self, num_pos_feats: int) -> None:
        super().__init__()
        self.row_embed = nn.Embedding(MOST_PLACES, num_pos_feats)
        self.col_embed = nn.Embedding(MOST_PLACES, num_pos_feats)
        nn.init.uniform_(self.row_embed.weight)
        nn.init.uniform_(self.col_embed.weight)

    def forward(self, padding: Tensor) -> Tensor:
        """(B, H, W) bool padding to (B, 2 * num_pos_feats, H, W): columns first, then rows."""
        batch, height, width = padding.shape
        if max(height, width) > MOST_PLACES:
            raise InputError(
                f"position_embedding: learned ones are for {MOST_PLACES} rows and columns of"
                f" features, a photo has {height}x{width}; choose a max_size of at most"
                f" {MOST_PLACES * 32} pixels ({MOST_PLACES * 16} with dilation), or"
                " position_embedding: sine"
            )
        columns = self.col_embed.weight[:width].expand(height, width, -1)
        rows = self.row_embed.weight[:height, None].expand(height, width, -1)
        both = torch.cat([columns, rows], dim=-1).permute(2, 0, 1)  # (2F, H, W)
        return both.expand(batch, -1, -1, -1)
