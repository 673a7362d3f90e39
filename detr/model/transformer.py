"""The transformer: an encoder over the photo's features, a decoder from queries to segments.

Unlike torch's own, positions are added to queries and keys of every attention, and every decoder
layer's result comes out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import Attention, Dropout, Linear


class Transformer(nn.Module):
    """Module names as published."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, features: Tensor, padding: Tensor, queries: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features and position (B, D, H, W), padding (B, H, W), queries (Q, D).

        Returns states (L, B, Q, D) after every decoder layer and memory (B, D, H, W).
        """
        batch, _, height, width = features.shape
        tokens = features.flatten(2).transpose(1, 2)  # (B, HW, D)
        position = position.flatten(2).transpose(1, 2)
        hidden = padding.flatten(1)  # (B, HW)
        queries = queries.expand(batch, -1, -1)  # (B, Q, D)
        memory = self.encoder(tokens, hidden, position)
        states = self.decoder(memory, hidden, position, queries)  # (L, B, Q, D)
        return states, memory.transpose(1, 2).unflatten(2, (height, width))


class Encoder(nn.Module):
    """Encoder layers; a last norm only if the layers normalise before."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.enc_layers))
        self.norm = nn.LayerNorm(config.hidden_dim) if config.pre_norm else None

    def forward(self, tokens: Tensor, hidden: Tensor, position: Tensor) -> Tensor:
        for layer in self.layers:
            tokens = layer(tokens, hidden, position)
        return tokens if self.norm is None else self.norm(tokens)


class Decoder(nn.Module):
    """Decoder layers; one norm shared by what comes out of each."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.dec_layers))
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, memory: Tensor, hidden: Tensor, position: Tensor, queries: Tensor) -> Tensor:
        state = torch.zeros_like(queries)
        states = []
        for layer in self.layers:
            state = layer(state, memory, hidden, position, queries)
            states.append(self.norm(state))
        return torch.stack(states)


class EncoderLayer(nn.Module):
    """Every place looks at every other place."""

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

    def forward(self, tokens: Tensor, hidden: Tensor, position: Tensor) -> Tensor:
        if self.pre_norm:
            tokens = tokens + self._attend(self.norm1(tokens), hidden, position)
            return tokens + self._think(self.norm2(tokens))
        tokens = self.norm1(tokens + self._attend(tokens, hidden, position))
        normed: Tensor = self.norm2(tokens + self._think(tokens))
        return normed

    def _attend(self, tokens: Tensor, hidden: Tensor, position: Tensor) -> Tensor:
        where = tokens + position
        dropped: Tensor = self.dropout(self.self_attn(where, where, tokens, hidden))
        return dropped

    def _think(self, tokens: Tensor) -> Tensor:
        wide = self.dropout(F.relu(self.linear1(tokens)))
        dropped: Tensor = self.dropout(self.linear2(wide))
        return dropped


class DecoderLayer(nn.Module):
    """Queries look at each other, then at the photo."""

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
        self, state: Tensor, memory: Tensor, hidden: Tensor, position: Tensor, queries: Tensor
    ) -> Tensor:
        if self.pre_norm:
            state = state + self._compare(self.norm1(state), queries)
            state = state + self._look(self.norm2(state), memory, hidden, position, queries)
            return state + self._think(self.norm3(state))
        state = self.norm1(state + self._compare(state, queries))
        state = self.norm2(state + self._look(state, memory, hidden, position, queries))
        normed: Tensor = self.norm3(state + self._think(state))
        return normed

    def _compare(self, state: Tensor, queries: Tensor) -> Tensor:
        who = state + queries
        dropped: Tensor = self.dropout(self.self_attn(who, who, state))
        return dropped

    def _look(
        self, state: Tensor, memory: Tensor, hidden: Tensor, position: Tensor, queries: Tensor
    ) -> Tensor:
        seen = self.multihead_attn(state + queries, memory + position, memory, hidden)
        dropped: Tensor = self.dropout(seen)
        return dropped

    def _think(self, state: Tensor) -> Tensor:
        wide = self.dropout(F.relu(self.linear1(state)))
        dropped: Tensor = self.dropout(self.linear2(wide))
        return dropped
