"""Position encodings: the position of each feature in its photo, as sines or learned embeddings.

As published with DETR; the sines generalise those of Vaswani et al. (NeurIPS 2017) to two axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from base.errors import InputError

MAX_POSITIONS = 50  # rows and columns with learned embeddings, as published


class PositionEmbeddingSine(nn.Module):
    """Sines and cosines of row and column, both scaled to 0..2π over the unpadded area."""

    def __init__(self, num_pos_feats: int, temperature: float = 10000) -> None:
        super().__init__()
        self.num_pos_feats = num_pos_feats
        self.temperature = temperature

    def forward(self, padding: Tensor) -> Tensor:
        """(B, H, W) bool padding to (B, 2 * num_pos_feats, H, W): rows first, then columns."""
        not_padding = (~padding).float()
        rows = not_padding.cumsum(1)  # (B, H, W): 1, 2, 3, ... down each column
        columns = not_padding.cumsum(2)
        rows = rows / (rows[:, -1:, :] + 1e-6) * 2 * math.pi
        columns = columns / (columns[:, :, -1:] + 1e-6) * 2 * math.pi
        return torch.cat([self._sines(rows), self._sines(columns)], dim=3).permute(0, 3, 1, 2)

    def _sines(self, angles: Tensor) -> Tensor:
        """(B, H, W) to (B, H, W, num_pos_feats): sine and cosine of each frequency alternate."""
        index = torch.arange(self.num_pos_feats // 2, device=angles.device)
        frequencies = self.temperature ** (-2 * index / self.num_pos_feats)
        phases = angles[..., None] * frequencies  # (B, H, W, num_pos_feats / 2)
        return torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(3)


class PositionEmbeddingLearned(nn.Module):
    """One learned embedding for each row and each column, as published."""

    def __init__(self, num_pos_feats: int) -> None:
        super().__init__()
        self.row_embed = nn.Embedding(MAX_POSITIONS, num_pos_feats)
        self.col_embed = nn.Embedding(MAX_POSITIONS, num_pos_feats)
        nn.init.uniform_(self.row_embed.weight)
        nn.init.uniform_(self.col_embed.weight)

    def forward(self, padding: Tensor) -> Tensor:
        """(B, H, W) bool padding to (B, 2 * num_pos_feats, H, W): columns first, then rows.

        Raises InputError if there are more rows or columns than embeddings.
        """
        batch, height, width = padding.shape
        if max(height, width) > MAX_POSITIONS:
            raise InputError(
                f"position_embedding: learned: expected features of at most {MAX_POSITIONS} rows"
                f" and columns, found {height}x{width}; set max_size to at most"
                f" {MAX_POSITIONS * 32} pixels ({MAX_POSITIONS * 16} with dilation), or"
                " position_embedding: sine"
            )
        columns = self.col_embed.weight[:width].expand(height, width, -1)
        rows = self.row_embed.weight[:height, None].expand(height, width, -1)
        both = torch.cat([columns, rows], dim=-1).permute(2, 0, 1)  # (2 * num_pos_feats, H, W)
        return both.expand(batch, -1, -1, -1)
