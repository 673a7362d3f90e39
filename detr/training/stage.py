"""The stages: which model each trains, and the losses and gradients of a step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detr.config import TrainConfig
from detr.data.examples import Batch, Target
from detr.data.loader import Step
from detr.losses.criterion import (
    MASK_LOSSES,
    Losses,
    box_losses,
    mask_losses,
    matched_queries,
    num_boxes,
    stack_masks,
)
from detr.losses.matcher import Match, match
from detr.model.detr import DETR, Output
from detr.model.segmentation import DETRsegm
from detr.training.learner import (
    Cut,
    Learner,
    Model,
    Stage,
    guesses_in_float32,
    on_device,
    sync_next,
)

STAGES: tuple[Stage, ...] = ("boxes", "masks", "joint")
MASKS_AT_ONCE = 32


def build_model(config: TrainConfig, num_classes: int, stage: Stage, *, pretrained: bool) -> Model:
    """The model that a stage trains; in the masks stage the box model is frozen."""
    detr = DETR(config, num_classes, pretrained=pretrained)
    if stage == "boxes":
        return detr
    if stage == "masks":
        detr.requires_grad_(False)
    return DETRsegm(detr, config)


def set_training(learner: Learner, training: bool) -> None:
    """Training or testing mode; a frozen trunk stays in testing mode."""
    learner.model.train(training)
    if learner.stage == "masks":
        learner.detr.eval()


def step_losses(learner: Learner, step: Step, batches: list[Batch]) -> Losses:
    """This process's part of all losses of one step; the parts of all processes add up to them.

    Where gradients are on, those of what the stage trains are added to the weights. They are those
    of one batch of all photos of the step, whichever process and batch each photo is in.
    """
    total: Losses = {}
    for index, (batch, share) in enumerate(
        zip(batches, _shares(learner, step, batches), strict=True)
    ):
        last = index == len(batches) - 1
        losses = batch_losses(learner, batch, share, last=last)
        total = {name: total.get(name, 0) + value for name, value in losses.items()}
    return total


def _shares(learner: Learner, step: Step, batches: list[Batch]) -> Tensor:
    """(batches, 4) which part of the step each batch is: see `_counts`."""
    counts = torch.stack([_counts(batch, learner.config) for batch in batches]) * step.counts
    return counts / learner.processes.sum(counts.sum(0)).clamp(min=1e-9)


def _counts(batch: Batch, config: TrainConfig) -> Tensor:
    """What the criterion divides by: the weights of classification, segments, matches, photos.

    All are known before anything is computed.
    """
    numbers = [len(target.labels) for target in batch.targets]
    matched = sum(min(n, config.num_queries) for n in numbers)
    unmatched = config.num_queries * len(numbers) - matched
    counts = [matched + config.eos_coef * unmatched, sum(numbers), matched, len(numbers)]
    return torch.tensor(counts, dtype=torch.float64)


def _scaled(losses: Losses, share: Tensor) -> Losses:
    """Means over a batch to its part of the means over the step."""
    classes, segments, matches, photos = share.tolist()
    named = {"class_error": matches, "cardinality_error": photos}
    return {
        name: value * (classes if name.startswith("loss_ce") else named.get(name, segments))
        for name, value in losses.items()
    }


def batch_losses(learner: Learner, batch: Batch, share: Tensor, *, last: bool) -> Losses:
    """All losses of one batch, scaled by its `share` of the step, and their gradients.

    In the masks stage the losses of the boxes carry none.
    """
    config, clock, device = learner.config, learner.clock, learner.processes.device
    learns = torch.is_grad_enabled()
    with torch.set_grad_enabled(learns and learner.stage != "masks"):
        sync_next(learner.trunk, last)
        with clock("forward"), learner.autocast():
            targets = [target.to(device) for target in batch.targets]
            output = guesses_in_float32(learner.trunk(on_device(batch.seen, device)))
        with clock("matching"):
            matches = match(output.guesses[-1], targets, config)
            losses = _scaled(box_losses(output, targets, matches, config), share)
    cut, masks = Cut(output), {}
    if learner.head is not None:
        masks = _mask_losses(learner, cut.output, targets, matches, share, last=last)
    if learns and learner.stage != "masks":
        with clock("backward"):
            cut.backward(total_loss(losses, "boxes") * learner.processes.world)
    return {name: value.detach() for name, value in (losses | masks).items()}


def _mask_losses(
    learner: Learner,
    output: Output,
    targets: list[Target],
    matches: list[Match],
    share: Tensor,
    *,
    last: bool,
) -> Losses:
    """Losses and gradients of the masks of matched queries, some at a time.

    Each mask is as large as its photo, and a batch can have hundreds: all at once would take tens
    of gigabytes. The parts add up to the same.
    """
    assert learner.head is not None
    photo, query = matched_queries(matches)
    wanted, count = stack_masks(targets, matches), num_boxes(targets)
    parts = torch.split(torch.arange(len(query), device=query.device), MASKS_AT_ONCE)
    total: Losses = {}
    for index, part in enumerate(parts):
        sync_next(learner.head, last and index == len(parts) - 1)
        with learner.clock("forward"):
            with learner.autocast():
                logits = learner.head(output, photo[part], query[part])
            both, losses = mask_losses(logits.float(), wanted[part], count, learner.config)
            losses = _scaled({"both": both, **losses}, share)
        both = losses.pop("both")
        if torch.is_grad_enabled():
            with learner.clock("backward"):
                torch.autograd.backward(both * learner.processes.world)
        total = {name: total.get(name, 0) + value for name, value in losses.items()}
    return total


def total_loss(losses: Losses, stage: Stage) -> Tensor:
    """Sum of the losses that the stage trains."""
    trained = MASK_LOSSES if stage == "masks" else [n for n in losses if n.startswith("loss")]
    return torch.stack([losses[name] for name in trained]).sum()


def epoch_seed(config: TrainConfig, stage: Stage, epoch: int, rank: int = 0) -> int:
    """Seed of one epoch of one stage; epoch 0 draws the model's first weights."""
    words = np.random.SeedSequence([config.seed, STAGES.index(stage), epoch, rank])
    return int(words.generate_state(1)[0])
