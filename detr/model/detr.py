"""DETR: a set of classes and boxes for each photo, predicted in parallel.

Based on Carion et al., End-to-End Object Detection with Transformers (ECCV 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.padded import Padded
from detr.kernels.layers import Linear
from detr.model.backbone import build_backbone, feature_channels
from detr.model.transformer import Transformer


@dataclass(frozen=True)
class LayerOutput:
    """The classes and boxes that one decoder layer predicts."""

    logits: Tensor  # (B, Q, classes + 1); the last class is no-object
    cxcywh_norm: Tensor  # (B, Q, 4)


@dataclass(frozen=True)
class Output:
    """The predictions of all decoder layers, in order, and the mask head's inputs."""

    layers: tuple[LayerOutput, ...]
    embeddings: Tensor  # (B, Q, D), the last decoder layer's output
    memory: Tensor  # (B, D, H, W), the encoder's output
    projected: Padded  # (B, D, H, W), the encoder's input
    features: list[Padded]  # strides 4, 8, 16, 32

    def select_features(self, photos: Tensor) -> Output:
        """Return the output with the features and memory of some photos only.

        `photos` (P,) holds their sorted indices in the batch.
        """
        if len(photos) == len(self.memory):
            return self
        return Output(
            self.layers,
            self.embeddings,
            self.memory[photos],
            self.projected.select(photos),
            [level.select(photos) for level in self.features],
        )


class DETR(nn.Module):
    """Backbone, transformer and prediction heads; module names as published."""

    def __init__(self, config: TrainConfig, num_classes: int, *, pretrained: bool) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.backbone = build_backbone(config, pretrained=pretrained)
        self.channels = feature_channels(config)
        self.input_proj = nn.Conv2d(self.channels[-1], dim, 1)
        self.transformer = Transformer(config)
        self.query_embed = nn.Embedding(config.num_queries, dim)
        self.class_embed = Linear(dim, num_classes + 1)
        self.bbox_embed = MLP(dim, dim, 4, layers=3)

    def forward(self, images: Padded) -> Output:
        """Predict from normalised RGB photos (B, 3, H, W)."""
        return self.detect(self.backbone[0](images))

    def detect(self, features: list[Padded]) -> Output:
        """Predict from the backbone's features at four strides, which may come from a cache."""
        last = features[-1]
        pos = self.backbone[1](last.padding)  # (B, D, H, W)
        projected = self.input_proj(last.values)  # (B, D, H, W)
        embeddings, memory = self.transformer(
            projected, last.padding, self.query_embed.weight, pos
        )  # (L, B, Q, D), (B, D, H, W)
        # predictions are float32 at any precision, because matching and losses need it
        flat = embeddings.flatten(0, 1)  # (L * B, Q, D)
        logits = self.class_embed(flat).float().view(*embeddings.shape[:-1], -1)
        boxes = self.bbox_embed(flat).float().sigmoid().view(*embeddings.shape[:-1], -1)
        layers = tuple(LayerOutput(*layer) for layer in zip(logits, boxes, strict=True))
        return Output(layers, embeddings[-1], memory, Padded(projected, last.padding), features)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, dim: int, hidden_dim: int, output_dim: int, *, layers: int) -> None:
        super().__init__()
        sizes = [dim, *[hidden_dim] * (layers - 1), output_dim]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, Q, dim) to (B, Q, output_dim)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        last: Tensor = self.layers[-1](x)
        return last
