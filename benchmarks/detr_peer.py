"""The peer of `benchmarks.detr_steps`: the same steps with the DETR of `transformers`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.detr_inputs import BATCH, CLASSES, FULL, make_targets, training_step
from detr.config import TrainConfig
from detr.data.targets import Target


def peer_labels(targets: list[Target]) -> list[dict[str, Tensor]]:
    """Convert targets to the labels that the peer expects."""
    return [
        {"class_labels": t.labels, "boxes": t.cxcywh_norm, "masks": t.masks.float()}
        for t in targets
    ]


def make_peer(config: TrainConfig, *, masks: bool) -> nn.Module:
    """Build the peer with its timm backbone."""
    from transformers import DetrForObjectDetection, DetrForSegmentation

    from tests.detr.peer import peer_config

    theirs = peer_config(config, CLASSES, auxiliary_loss=not masks)
    model: nn.Module = (DetrForSegmentation if masks else DetrForObjectDetection)(theirs)
    return model


def peer_step(config: TrainConfig, size: int, *, masks: bool) -> Callable[[], None]:
    """Train all parameters with the losses of all layers, or only the mask head."""
    model = make_peer(config, masks=masks).requires_grad_(True).train()
    if masks:
        model.detr.requires_grad_(False).eval()
    images, labels = torch.randn(BATCH, 3, size, size), peer_labels(make_targets(size))

    def loss() -> Tensor:
        found: Tensor = model(images, labels=labels).loss
        return found

    return training_step(model, loss, fused=False)


def peer_inference(size: int) -> Callable[[], None]:
    """Predict masks for all queries."""
    model, images = make_peer(FULL, masks=True).eval(), torch.randn(BATCH, 3, size, size)

    @torch.no_grad()
    def step() -> None:
        model(images)

    return step
