"""DETR: a set of boxes and classes from one look at a photo."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.padded import Padded
from detr.kernels.layers import Linear
from detr.model.backbone import build_backbone, channels_of
from detr.model.transformer import Transformer


@dataclass(frozen=True)
class Guess:
    """What one decoder layer says: `logits` (B, Q, classes + 1), `cxcywh_norm` (B, Q, 4)."""

    logits: Tensor
    cxcywh_norm: Tensor


@dataclass(frozen=True)
class Output:
    """All layers' guesses, the last one last, and what the mask head reads."""

    guesses: tuple[Guess, ...]
    state: Tensor  # (B, Q, D) of the last decoder layer
    memory: Tensor  # (B, D, H, W) of the encoder
    projected: Padded  # (B, D, H, W), the encoder's input
    features: list[Padded]  # strides 4, 8, 16, 32

    def of_photos(self, photo: Tensor) -> Output:
        """What the mask head reads, of the distinct photos (P,) in their order, only."""
        if len(photo) == len(self.memory):
            return self
        return Output(
            self.guesses,
            self.state,
            self.memory[photo],
            self.projected.of_photos(photo),
            [level.of_photos(photo) for level in self.features],
        )


class DETR(nn.Module):
    """Module names as published; the last class index is no-object."""

    def __init__(self, config: TrainConfig, num_classes: int, *, pretrained: bool) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.backbone = build_backbone(config, pretrained=pretrained)
        self.channels = channels_of(config)  # of the backbone's features, finest first
        self.input_proj = nn.Conv2d(self.channels[-1], dim, 1)
        self.transformer = Transformer(config)
        self.query_embed = nn.Embedding(config.num_queries, dim)
        self.class_embed = Linear(dim, num_classes + 1)
        self.bbox_embed = MLP(dim, dim, 4, layers=3)

    def forward(self, images: Padded) -> Output:
        """(B, 3, H, W) normalised RGB photos to guesses."""
        return self.detect(self.backbone[0](images))

    def detect(self, features: list[Padded]) -> Output:
        """Features of the four strides to guesses; cached features enter here."""
        last = features[-1]
        position = self.backbone[1](last.padding)  # (B, D, H, W)
        projected = self.input_proj(last.values)
        states, memory = self.transformer(
            projected, last.padding, self.query_embed.weight, position
        )  # (L, B, Q, D)
        # in float32, whatever the layers compute in: matching and losses are not safe in less
        each = states.flatten(0, 1)  # (L B, Q, D)
        logits = self.class_embed(each).float().view(*states.shape[:-1], -1)
        boxes = self.bbox_embed(each).float().sigmoid().view(*states.shape[:-1], -1)
        guesses = tuple(Guess(*pair) for pair in zip(logits, boxes, strict=True))
        return Output(guesses, states[-1], memory, Padded(projected, last.padding), features)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, dim: int, hidden: int, out: int, *, layers: int) -> None:
        super().__init__()
        sizes = [dim, *[hidden] * (layers - 1), out]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        last: Tensor = self.layers[-1](x)
        return last
