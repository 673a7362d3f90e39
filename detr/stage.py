"""The two stages: which model each trains, with which losses and which optimiser."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from detr.config import TrainConfig
from detr.criterion import Losses, box_losses, mask_losses, matched_queries
from detr.data import Batch
from detr.matcher import match
from detr.model import DETR
from detr.padded import Padded
from detr.segmentation import DETRsegm

Stage = Literal["boxes", "masks"]
STAGES: tuple[Stage, ...] = ("boxes", "masks")
MASK_LOSSES = ("loss_mask", "loss_dice")
Model = DETR | DETRsegm


def build_model(
    config: TrainConfig, num_classes: int, *, trunk: dict[str, Any] | None, pretrained: bool
) -> Model:
    """The boxes model or, on the weights `trunk` of a trained one, the masks model."""
    if trunk is None:
        return DETR(config, num_classes, pretrained=pretrained)
    detr = DETR(config, num_classes, pretrained=False)
    detr.load_state_dict(trunk)
    detr.requires_grad_(False)
    return DETRsegm(detr, config)


def trunk_of(model: Model) -> DETR:
    """The part of a model that finds boxes."""
    return model if isinstance(model, DETR) else model.detr


def build_optimizer(model: Model, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over what is trained, with a rate of its own for the backbone."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    backbone = [p for n, p in trained if n.startswith("backbone.0.")]
    others = [p for n, p in trained if not n.startswith("backbone.0.")]
    lr = config.lr if isinstance(model, DETR) else config.mask_lr
    groups: list[dict[str, Any]] = [{"params": others, "lr": lr}]
    if backbone:
        groups.append({"params": backbone, "lr": config.lr_backbone})
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def set_training(model: Model, training: bool) -> None:
    """Training or testing mode; a frozen trunk stays in testing mode."""
    model.train(training)
    if isinstance(model, DETRsegm):
        model.detr.eval()


def batch_losses(model: Model, batch: Batch, config: TrainConfig, device: torch.device) -> Losses:
    """All losses of one batch; those of the boxes carry no gradient in the masks stage."""
    detr = trunk_of(model)
    targets = [target.to(device) for target in batch.targets]
    with torch.set_grad_enabled(torch.is_grad_enabled() and detr is model):
        if isinstance(batch.seen, Padded):
            output = detr(batch.seen.to(device))
        else:
            output = detr.detect([level.to(device) for level in batch.seen])
        matches = match(output.guesses[-1], targets, config)
        losses = box_losses(output, targets, matches, config)
    if isinstance(model, DETRsegm):
        logits = model.masks(output, *matched_queries(matches))
        losses |= mask_losses(logits, targets, matches, config)
    return losses


def total_loss(losses: Losses, stage: Stage) -> Tensor:
    """Sum of the losses that the stage trains."""
    trained = MASK_LOSSES if stage == "masks" else [n for n in losses if n.startswith("loss")]
    return torch.stack([losses[name] for name in trained]).sum()


def epoch_seed(config: TrainConfig, stage: Stage, epoch: int) -> int:
    """Seed of one epoch of one stage; epoch 0 draws the model's first weights."""
    words = np.random.SeedSequence([config.seed, STAGES.index(stage), epoch])
    return int(words.generate_state(1)[0])
