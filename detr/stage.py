"""The two stages: which model each trains, with which losses and which optimiser."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from detr.config import TrainConfig
from detr.criterion import (
    Losses,
    box_losses,
    mask_losses,
    matched_queries,
    num_boxes,
    stack_masks,
)
from detr.data import Batch, Target
from detr.matcher import Match, match
from detr.model import DETR, Output
from detr.padded import Padded
from detr.segmentation import DETRsegm

Stage = Literal["boxes", "masks"]
STAGES: tuple[Stage, ...] = ("boxes", "masks")
MASK_LOSSES = ("loss_mask", "loss_dice")
MASKS_AT_ONCE = 32
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
    """All losses of one batch; where gradients are on, those of what the stage trains are added.

    In the masks stage the losses of the boxes carry none.
    """
    detr, learns = trunk_of(model), torch.is_grad_enabled()
    targets = [target.to(device) for target in batch.targets]
    with torch.set_grad_enabled(learns and detr is model):
        if isinstance(batch.seen, Padded):
            output = detr(batch.seen.to(device))
        else:
            output = detr.detect([level.to(device) for level in batch.seen])
        matches = match(output.guesses[-1], targets, config)
        losses = box_losses(output, targets, matches, config)
    if isinstance(model, DETRsegm):
        return losses | _mask_losses(model, output, targets, matches, config)
    if learns:
        torch.autograd.backward(total_loss(losses, "boxes"))
    return losses


def _mask_losses(
    model: DETRsegm,
    output: Output,
    targets: list[Target],
    matches: list[Match],
    config: TrainConfig,
) -> Losses:
    """Losses and gradients of the masks, some queries at a time.

    Each mask is as large as its photo, and a batch can have hundreds: all at once would take tens
    of gigabytes. The parts add up to the same.
    """
    photo, query = matched_queries(matches)
    wanted, count = stack_masks(targets, matches), num_boxes(targets)
    parts = []
    for part in torch.split(torch.arange(len(query), device=query.device), MASKS_AT_ONCE):
        logits = model.masks(output, photo[part], query[part])
        losses = mask_losses(logits, wanted[part], count, config)
        if torch.is_grad_enabled():
            torch.autograd.backward(total_loss(losses, "masks"))
        parts.append({name: value.detach() for name, value in losses.items()})
    return {name: torch.stack([part[name] for part in parts]).sum() for name in MASK_LOSSES}


def total_loss(losses: Losses, stage: Stage) -> Tensor:
    """Sum of the losses that the stage trains."""
    trained = MASK_LOSSES if stage == "masks" else [n for n in losses if n.startswith("loss")]
    return torch.stack([losses[name] for name in trained]).sum()


def epoch_seed(config: TrainConfig, stage: Stage, epoch: int) -> int:
    """Seed of one epoch of one stage; epoch 0 draws the model's first weights."""
    words = np.random.SeedSequence([config.seed, STAGES.index(stage), epoch])
    return int(words.generate_state(1)[0])
