"""The decoder: self-attention, cross-attention to the photo, and box refinement in each layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import Attention, Linear
from detr.model.detr import MLP
from detr.model.fast.attention import DeformableAttention, SampledMemory, ValueMaps
from detr.model.fast.dense import refine_boxes, start_rare, start_unchanged
from detr.model.fast.output import FastLayerOutput
from detr.model.fast.places import Places
from detr.model.fast.pyramid import mask_dim_of

PERIODS, TEMPERATURE = 8, 32  # of the sines: from 8 periods across a photo down to about 1/4


@dataclass(frozen=True)
class Queries:
    """Thing queries, then stuff queries, whose boxes are the whole photo."""

    content: Tensor  # (B, Q + stuff, D)
    cxcywh_norm: Tensor  # (B, Q + stuff, 4)
    padding_mask: Tensor | None  # (B, Q + stuff) bool; None if no query is padding


class Decoder(nn.Module):
    """Layers with separate class and box heads; they share the mask and presence heads."""

    def __init__(self, config: TrainConfig, *, things: int, stuff: int) -> None:
        super().__init__()
        dim, count = config.hidden_dim, config.dec_layers
        self.stuff = stuff
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(count))
        self.memory = SampledMemory(dim, config.nheads) if config.deformable else FullMemory()
        self.query_pos_head = MLP(2 * dim, dim, dim, layers=2)
        self.mask_embed = MLP(dim, dim, mask_dim_of(config) + 1, layers=3)
        self.presence_embed = nn.Linear(dim, stuff) if stuff else None
        heads = range(count if things else 0)
        self.class_embed = nn.ModuleList(start_rare(Linear(dim, things)) for _ in heads)
        self.bbox_embed = nn.ModuleList(start_unchanged(MLP(dim, dim, 4, layers=3)) for _ in heads)

    def forward(self, queries: Queries, places: Places) -> tuple[FastLayerOutput, ...]:
        """Return the predictions of all layers; boxes are detached between layers."""
        state, boxes = queries.content, queries.cxcywh_norm
        memory = self.memory(places)
        parts = [state.shape[1] - self.stuff, self.stuff]
        predictions = []
        for number, layer in enumerate(self.layers):
            position = self.query_pos_head(sine_of_boxes(boxes, state.shape[-1] // 2))
            state = layer(state, position, boxes, queries.padding_mask, memory)
            things, stuff = torch.split(state, parts, 1)
            own, stuff_boxes = torch.split(boxes, parts, 1)
            logits, refined = self._things(number, things, own)
            boxes = torch.cat([refined, stuff_boxes], 1)
            masks = self.mask_embed(state).float()
            predictions.append(FastLayerOutput(logits, boxes, masks, self._presence(stuff)))
            boxes = boxes.detach()
        return tuple(predictions)

    def _things(self, number: int, state: Tensor, cxcywh_norm: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (B, Q, things) and refined boxes (B, Q, 4) after layer `number`."""
        if not self.class_embed:
            return state.new_zeros(*state.shape[:2], 0), cxcywh_norm
        logits: Tensor = self.class_embed[number](state).float()
        return logits, refine_boxes(self.bbox_embed[number], state, cxcywh_norm)

    def _presence(self, state: Tensor) -> Tensor:
        """Return presence logits (B, stuff) of the stuff queries (B, stuff, D)."""
        # each query has its own row of weights
        if self.presence_embed is None:
            return state.new_zeros(len(state), 0)
        return (state.float() * self.presence_embed.weight).sum(-1) + self.presence_embed.bias


class DecoderLayer(nn.Module):
    """A post-norm layer with deformable or full cross-attention."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        dim, heads = config.hidden_dim, config.nheads
        self.self_attn = Attention(dim, heads)
        self.cross_attn = (DeformableAttention if config.deformable else FullAttention)(dim, heads)
        self.linear1 = nn.Linear(dim, config.dim_feedforward)
        self.linear2 = nn.Linear(config.dim_feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(
        self,
        state: Tensor,
        position: Tensor,
        cxcywh_norm: Tensor,
        padding_mask: Tensor | None,
        memory: ValueMaps | PlacedTokens,
    ) -> Tensor:
        """Update state (B, Q, D), given position (B, Q, D), boxes (B, Q, 4) and padding (B, Q)."""
        query = state + position
        state = self.norm1(state + self.self_attn(query, query, state, padding_mask))
        state = self.norm2(state + self.cross_attn(state + position, cxcywh_norm, memory))
        normed: Tensor = self.norm3(state + self.linear2(F.relu(self.linear1(state))))
        return normed


@dataclass(frozen=True)
class PlacedTokens:
    """Tokens (B, N, D) of all locations, keys with positions added, and the padding mask (B, N)."""

    tokens: Tensor
    keys: Tensor
    padding_mask: Tensor


class FullMemory(nn.Module):
    """The keys and values that all decoder layers attend to."""

    def forward(self, places: Places) -> PlacedTokens:
        """Add the position encoding of each location to the keys."""
        tokens = places.tokens
        position = sine_of_boxes(places.anchors_norm[..., :2], tokens.shape[-1] // 2)
        return PlacedTokens(tokens, tokens + position, places.padding_mask)


class FullAttention(nn.Module):
    """Attention over all locations of all levels."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)

    def forward(self, query: Tensor, cxcywh_norm: Tensor, memory: PlacedTokens) -> Tensor:
        """Attend from queries (B, Q, D); returns (B, Q, D). The boxes are not used."""
        attended: Tensor = self.attention(query, memory.keys, memory.tokens, memory.padding_mask)
        return attended


def sine_of_boxes(values_norm: Tensor, length: int) -> Tensor:
    """Return the sine encoding (B, Q, N length) of values (B, Q, N) in 0..1.

    The positions of queries and of locations have the same encoding, as in DAB-DETR (Liu et al.,
    ICLR 2022).
    """
    steps = torch.arange(length // 2, device=values_norm.device) * 2 / length
    frequencies = 2 * math.pi * PERIODS * TEMPERATURE**-steps
    phases = values_norm[..., None] * frequencies  # (B, Q, N, length / 2)
    return torch.cat([phases.sin(), phases.cos()], -1).flatten(2)
