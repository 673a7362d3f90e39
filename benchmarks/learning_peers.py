"""The peers of `benchmarks.learning`: models of `transformers` on our backbone, and their losses.

Each peer exists in two sizes: `small` has the width and the number of decoder layers of `variant:
fast`, so that a step costs about as much; `published` has the published ones. Other settings are
those of the published models: weight decay, clipping, and the shape of the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from detr.config import TrainConfig
from detr.data.classes import ClassTable
from detr.data.kinds import kinds_of
from detr.data.padded import Padded
from detr.data.targets import SegmentMap
from detr.model.backbone import build_backbone, feature_channels
from detr.model.fast.detr import TRAINED

TIMM_NAME = "tf_efficientnet_lite0"  # has the same channels; its module is replaced by ours


@dataclass(frozen=True)
class Peer:
    """A model to compare with, and how its authors train it."""

    name: str
    build: Callable[[TrainConfig, ClassTable], nn.Module]
    loss: Callable[[nn.Module, Tensor, list[SegmentMap], ClassTable], Tensor]
    rate_factor: Callable[[float], float]  # of the learning rates, by the fraction of the time
    weight_decay: float
    clip_max_norm: float
    has_masks: bool


class OurBackbone(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, called as `transformers` calls backbones."""

    def __init__(self, config: TrainConfig, levels: int) -> None:
        super().__init__()
        trained = replace(config, lr_backbone=1.0)  # not frozen, even if that of our run is
        self.backbone = build_backbone(trained, pretrained=True)[0]
        self.channels = list(feature_channels(config)[-levels:])
        for name, parameter in self.backbone.named_parameters():
            if not name.removeprefix("body.").startswith(TRAINED):
                parameter.requires_grad_(False)  # up to stride 8, as in `FastDETR`

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        """(B, 3, H, W) normalised photos to the coarsest features, finest first."""
        no_padding = torch.zeros_like(pixel_values[:, 0], dtype=torch.bool)
        features = self.backbone(Padded(pixel_values, no_padding))
        return SimpleNamespace(feature_maps=[f.values for f in features[-len(self.channels) :]])


def _timm_config(levels: int) -> Any:
    from transformers import TimmBackboneConfig

    return TimmBackboneConfig(backbone=TIMM_NAME, out_indices=list(range(5 - levels, 5)))


# --- RT-DETR v2: boxes of things ---


def _rtdetr(config: TrainConfig, classes: ClassTable, *, small: bool) -> nn.Module:
    """Build RT-DETR v2 (Lv et al., 2024) on strides 8 to 32."""
    from transformers import RTDetrV2Config, RTDetrV2ForObjectDetection

    dim = config.hidden_dim
    sizes: dict[str, Any] = {
        "d_model": dim,
        "encoder_hidden_dim": dim,
        "encoder_ffn_dim": config.dim_feedforward,
        "decoder_in_channels": [dim] * 3,
        "decoder_ffn_dim": config.dim_feedforward,
        "decoder_layers": config.dec_layers,
        "num_queries": config.num_queries,
        "num_denoising": config.num_queries // 3,  # as published, a third of the queries
        "hidden_expansion": 0.5,  # as in the published model with ResNet-18
    }
    model = RTDetrV2ForObjectDetection(
        RTDetrV2Config(
            backbone_config=_timm_config(3),
            encoder_in_channels=list(feature_channels(config)[1:]),
            num_labels=len(kinds_of(classes).things),
            **(sizes if small else {}),
        )
    )
    model.model.backbone.model = OurBackbone(config, 3)
    return model


def _rtdetr_loss(
    model: nn.Module, photos: Tensor, targets: list[SegmentMap], classes: ClassTable
) -> Tensor:
    number = {label: index for index, label in enumerate(kinds_of(classes).things)}
    labels = []
    for target in targets:
        rows = [i for i, label in enumerate(target.labels.tolist()) if label in number]
        own = torch.tensor([number[int(target.labels[i])] for i in rows], dtype=torch.int64)
        labels.append({"class_labels": own, "boxes": target.cxcywh_norm[rows]})
    loss: Tensor = model(pixel_values=photos, labels=labels).loss
    return loss


def _rtdetr_factor(progress: float) -> float:
    """Warm up, then stay: as published, the average of the weights replaces a decay."""
    return min(1.0, progress / 0.05)


# --- Mask2Former: panoptic ---


def _mask2former(config: TrainConfig, classes: ClassTable, *, small: bool) -> nn.Module:
    """Build Mask2Former (Cheng et al., CVPR 2022) on strides 4 to 32."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

    dim = config.hidden_dim
    sizes: dict[str, Any] = {
        "feature_size": dim,
        "mask_feature_size": dim,
        "hidden_dim": dim,
        "encoder_feedforward_dim": config.dim_feedforward,
        "dim_feedforward": config.dim_feedforward,
        "encoder_layers": config.enc_layers,  # on all three levels
        "decoder_layers": config.dec_layers + 1,  # theirs counts the prediction before the first
        "num_queries": config.num_queries + len(kinds_of(classes).stuff),
        "train_num_points": 12544 // 4,  # of photos with a quarter of the published area or less
    }
    model = Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(
            backbone_config=_timm_config(4),
            num_labels=len(classes),
            **(sizes if small else {}),
        )
    )
    model.model.pixel_level_module.encoder = OurBackbone(config, 4)
    return model


def _mask2former_loss(
    model: nn.Module, photos: Tensor, targets: list[SegmentMap], classes: ClassTable
) -> Tensor:
    whole = [target.to(photos.device) for target in targets]
    loss: Tensor = model(
        pixel_values=photos,
        mask_labels=[target.masks.float() for target in whole],
        class_labels=[target.labels for target in whole],
    ).loss
    return loss


def _mask2former_factor(progress: float) -> float:
    """Divide the rates by 10 after 90 % and after 95 % of the training."""
    return float(0.1 ** ((progress >= 0.9) + (progress >= 0.95)))


RATES = (1e-4, 3e-4, 1e-3)  # published: 1e-4
PEERS = {
    peer.name: peer
    for small in (True, False)
    for peer in (
        Peer(
            "rtdetr_v2" if small else "rtdetr_v2-published",
            partial(_rtdetr, small=small),
            _rtdetr_loss,
            _rtdetr_factor,
            weight_decay=1e-4,
            clip_max_norm=0.1,
            has_masks=False,
        ),
        Peer(
            "mask2former" if small else "mask2former-published",
            partial(_mask2former, small=small),
            _mask2former_loss,
            _mask2former_factor,
            weight_decay=0.05,
            clip_max_norm=0.01,
            has_masks=True,
        ),
    )
}
