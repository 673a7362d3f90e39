"""The transformer: an encoder for the photo's features and a decoder for object queries.

As in the paper (Carion et al., ECCV 2020) and unlike torch's own transformer, positions are added
to the queries and keys of every attention layer, and the outputs of all decoder layers returned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import Attention, Dropout, Linear


class Transformer(nn.Module):
    """Encoder and decoder; module names as published."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, features: Tensor, padding: Tensor, query_embed: Tensor, pos: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Encode features and decode the object queries.

        Args:
            features: (B, D, H, W).
            padding: (B, H, W) bool, True in the padding.
            query_embed: (Q, D), the learned position of each query.
            pos: (B, D, H, W), the position of each feature.

        Returns:
            Output embeddings (L, B, Q, D) of all decoder layers and the memory (B, D, H, W).
        """
        batch, _, height, width = features.shape
        tokens = features.flatten(2).transpose(1, 2)  # (B, HW, D)
        pos = pos.flatten(2).transpose(1, 2)  # (B, HW, D)
        padding_mask = padding.flatten(1)  # (B, HW)
        query_pos = query_embed.expand(batch, -1, -1)  # (B, Q, D)
        memory = self.encoder(tokens, padding_mask, pos)  # (B, HW, D)
        embeddings = self.decoder(memory, padding_mask, pos, query_pos)  # (L, B, Q, D)
        return embeddings, memory.transpose(1, 2).unflatten(2, (height, width))


class Encoder(nn.Module):
    """Encoder layers, followed by a norm if `pre_norm` is set."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.enc_layers))
        self.norm = nn.LayerNorm(config.hidden_dim) if config.pre_norm else None

    def forward(self, tokens: Tensor, padding_mask: Tensor, pos: Tensor) -> Tensor:
        """(B, S, D) features as tokens to the memory (B, S, D)."""
        for layer in self.layers:
            tokens = layer(tokens, padding_mask, pos)
        return tokens if self.norm is None else self.norm(tokens)


class Decoder(nn.Module):
    """Decoder layers and a norm that is applied to the output of every layer."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.dec_layers))
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(
        self, memory: Tensor, padding_mask: Tensor, pos: Tensor, query_pos: Tensor
    ) -> Tensor:
        """(B, S, D) memory and (B, Q, D) query positions to output embeddings (L, B, Q, D)."""
        queries = torch.zeros_like(query_pos)
        embeddings = []
        for layer in self.layers:
            queries = layer(queries, memory, padding_mask, pos, query_pos)
            embeddings.append(self.norm(queries))
        return torch.stack(embeddings)


class EncoderLayer(nn.Module):
    """Self-attention of the features and a feed-forward network."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        dim, dropout = config.hidden_dim, config.dropout
        self.self_attn = Attention(dim, config.nheads, dropout)
        self.linear1 = Linear(dim, config.dim_feedforward)
        self.linear2 = Linear(config.dim_feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)
        self.pre_norm = config.pre_norm

    def forward(self, tokens: Tensor, padding_mask: Tensor, pos: Tensor) -> Tensor:
        """tokens and pos (B, S, D), padding_mask (B, S) to (B, S, D)."""
        if self.pre_norm:
            tokens = tokens + self._self_attention(self.norm1(tokens), padding_mask, pos)
            return tokens + _feed_forward(self, self.norm2(tokens))
        tokens = self.norm1(tokens + self._self_attention(tokens, padding_mask, pos))
        normed: Tensor = self.norm2(tokens + _feed_forward(self, tokens))
        return normed

    def _self_attention(self, tokens: Tensor, padding_mask: Tensor, pos: Tensor) -> Tensor:
        positioned = tokens + pos  # query and key are one tensor, so Attention projects it once
        attended = self.self_attn(positioned, positioned, tokens, padding_mask)
        dropped: Tensor = self.dropout(attended)
        return dropped


class DecoderLayer(nn.Module):
    """Self-attention of the queries, cross-attention to the memory and a feed-forward network."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        dim, dropout = config.hidden_dim, config.dropout
        self.self_attn = Attention(dim, config.nheads, dropout)
        self.multihead_attn = Attention(dim, config.nheads, dropout)
        self.linear1 = Linear(dim, config.dim_feedforward)
        self.linear2 = Linear(config.dim_feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)
        self.pre_norm = config.pre_norm

    def forward(
        self, queries: Tensor, memory: Tensor, padding_mask: Tensor, pos: Tensor, query_pos: Tensor
    ) -> Tensor:
        """queries and query_pos (B, Q, D), memory and pos (B, S, D) to queries (B, Q, D)."""
        if self.pre_norm:
            queries = queries + self._self_attention(self.norm1(queries), query_pos)
            positioned = self.norm2(queries) + query_pos
            queries = queries + self._cross_attention(positioned, memory, padding_mask, pos)
            return queries + _feed_forward(self, self.norm3(queries))
        queries = self.norm1(queries + self._self_attention(queries, query_pos))
        positioned = queries + query_pos
        queries = self.norm2(queries + self._cross_attention(positioned, memory, padding_mask, pos))
        normed: Tensor = self.norm3(queries + _feed_forward(self, queries))
        return normed

    def _self_attention(self, queries: Tensor, query_pos: Tensor) -> Tensor:
        positioned = queries + query_pos
        dropped: Tensor = self.dropout(self.self_attn(positioned, positioned, queries))
        return dropped

    def _cross_attention(
        self, positioned: Tensor, memory: Tensor, padding_mask: Tensor, pos: Tensor
    ) -> Tensor:
        attended = self.multihead_attn(positioned, memory + pos, memory, padding_mask)
        dropped: Tensor = self.dropout(attended)
        return dropped


def _feed_forward(layer: EncoderLayer | DecoderLayer, tokens: Tensor) -> Tensor:
    """(B, N, D) to (B, N, D): two linear layers with ReLU between them, dropout after each."""
    hidden = layer.dropout(F.relu(layer.linear1(tokens)))  # (B, N, dim_feedforward)
    dropped: Tensor = layer.dropout(layer.linear2(hidden))
    return dropped
