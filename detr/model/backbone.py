"""The backbone: features at four strides from a network pretrained on ImageNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from base.errors import InputError
from detr.config import NARROW_BACKBONES, TrainConfig
from detr.data.padded import Padded
from detr.model import efficientnet
from detr.model.position_encoding import PositionEmbeddingLearned, PositionEmbeddingSine


class Backbone(nn.Module):
    """A network with frozen batch norms, named `body` as in published checkpoints."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Padded) -> list[Padded]:
        """(B, 3, H, W) normalised photos to features at strides 4, 8, 16 and 32."""
        features: dict[str, Tensor] = self.body(images.values)
        return [_with_padding(features[name], images.padding) for name in sorted(features)]


def _with_padding(features: Tensor, padding: Tensor) -> Padded:
    """Resize the padding (B, H, W) of the photos to the size of the features (B, C, h, w)."""
    resized = F.interpolate(padding[:, None].float(), size=features.shape[-2:])  # nearest
    return Padded(features, resized[:, 0].bool())


def build_backbone(config: TrainConfig, *, pretrained: bool) -> nn.Sequential:
    """Build the backbone and position embedding; published names: `backbone.0.body`, `backbone.1`.

    Raises InputError if pretrained weights cannot be downloaded.
    """
    if config.backbone == "efficientnet_lite0":
        backbone = _efficientnet(config, pretrained)
        trained: tuple[str, ...] = tuple(f"_blocks.{i}." for i in range(3, 16))
    else:
        backbone = _resnet(config, pretrained)
        trained = ("layer2.", "layer3.", "layer4.")
    for name, parameter in backbone.body.named_parameters():
        # as published, layers up to stride 4 are never trained
        parameter.requires_grad_(config.lr_backbone > 0 and name.startswith(trained))
    return nn.Sequential(backbone, _position_embedding(config))


def feature_channels(config: TrainConfig) -> tuple[int, ...]:
    """Return the number of channels of the features, finest first."""
    if config.backbone == "efficientnet_lite0":
        return efficientnet.CHANNELS
    return (64, 128, 256, 512) if config.backbone in NARROW_BACKBONES else (256, 512, 1024, 2048)


def _position_embedding(config: TrainConfig) -> nn.Module:
    if config.position_embedding == "learned":
        return PositionEmbeddingLearned(config.hidden_dim // 2)
    return PositionEmbeddingSine(config.hidden_dim // 2)


def _efficientnet(config: TrainConfig, pretrained: bool) -> Backbone:
    body = efficientnet.EfficientNetLite0(dilation=config.dilation)
    if pretrained:
        efficientnet.load_weights(body)
    return Backbone(body)


def _resnet(config: TrainConfig, pretrained: bool) -> Backbone:
    from detr.model.resnet import ResNet  # imports torchvision, which takes two seconds

    body = ResNet(config.backbone, dilation=config.dilation)
    if pretrained:
        state = _download(config.backbone)
        body.load_state_dict({n: v for n, v in state.items() if not n.startswith("fc.")})
    return Backbone(body)


def _download(name: str) -> dict[str, Any]:
    """Load ImageNet weights through torchvision, which downloads them if necessary."""
    import torchvision

    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        state: dict[str, Any] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or a damaged file
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise InputError(
            f"backbone {name}: weights cannot be loaded from {weights.url} ({error}); download that"
            f" file yourself and place it in {folder}, or set backbone: efficientnet_lite0, whose"
            " weights are installed with this project"
        ) from None
    return state
