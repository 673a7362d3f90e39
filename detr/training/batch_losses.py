"""The losses of one step and their gradients: forward, matching, losses, backward.

A step's losses are those of one batch with all its photos, however the photos are divided among
batches and processes. Every loss is a mean, for example over segments or photos, so each batch's
means are scaled by its share of the step's segments or photos.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.loader import Step
from detr.data.targets import Target
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
from detr.model.detr import Output
from detr.model.fast.detr import FastDETR
from detr.training.fast_losses import fast_step_losses
from detr.training.output_gradients import DetachedOutput
from detr.training.processes import set_gradient_sync
from detr.training.stage_model import Stage, StageModel, to_device

MASKS_AT_ONCE = 32


def step_losses(model: StageModel, step: Step, batches: list[Batch]) -> Losses:
    """Return this process's part of a step's losses, detached; the parts of all processes add up.

    Includes their total as `loss`. If gradients are enabled, the gradients of the losses that the
    stage trains are added to those of the parameters.
    """
    if isinstance(model.module, FastDETR):
        return fast_step_losses(model, model.module, step, batches)
    total: Losses = {}
    shares = _shares(model, step, batches)
    for index, (batch, share) in enumerate(zip(batches, shares, strict=True)):
        is_last = index == len(batches) - 1
        total = _added(total, batch_losses(model, batch, share, is_last=is_last))
    return {"loss": total_loss(total, model.stage), **total}


def batch_losses(model: StageModel, batch: Batch, share: Tensor, *, is_last: bool) -> Losses:
    """Return the losses of one batch, scaled by its `share` of the step, and add their gradients.

    In the masks stage, the losses of boxes have no gradients. After the last batch of a step,
    processes average their gradients.
    """
    config, clock, device = model.config, model.clock, model.processes.device
    with_gradients = torch.is_grad_enabled()
    with torch.set_grad_enabled(with_gradients and model.stage != "masks"):
        set_gradient_sync(model.trunk, is_last)
        with clock("forward"), model.autocast():
            targets = [target.to(device) for target in batch.targets]
            output = model.trunk(to_device(batch.inputs, device))
        with clock("matching"):
            matches = match(output.layers[-1], targets, config)
            losses = _scaled(box_losses(output, targets, matches, config), share)
    detached, masks = DetachedOutput(output), {}
    if model.head is not None:
        masks = _mask_losses(model, detached.output, targets, matches, share, is_last=is_last)
    if with_gradients and model.stage != "masks":
        with clock("backward"):
            detached.backward(total_loss(losses, "boxes") * model.processes.world)
    return {name: value.detach() for name, value in (losses | masks).items()}


def _mask_losses(
    model: StageModel,
    output: Output,
    targets: list[Target],
    matches: list[Match],
    share: Tensor,
    *,
    is_last: bool,
) -> Losses:
    """Compute losses and gradients of the masks of matched queries, a few queries at a time.

    Each mask is as large as its photo, and a batch can have hundreds of them, which together would
    take tens of gigabytes. The losses of the parts add up to those of the whole.
    """
    assert model.head is not None
    photo, query = matched_queries(matches)
    wanted, count = stack_masks(targets, matches), num_boxes(targets)
    parts = torch.split(torch.arange(len(query), device=query.device), MASKS_AT_ONCE)
    total: Losses = {}
    for index, part in enumerate(parts):
        set_gradient_sync(model.head, is_last and index == len(parts) - 1)
        with model.clock("forward"):
            with model.autocast():
                logits = model.head(output, photo[part], query[part])
            both, losses = mask_losses(logits.float(), wanted[part], count, model.config)
            losses = _scaled({"both": both, **losses}, share)
        both = losses.pop("both")
        if torch.is_grad_enabled():
            with model.clock("backward"):
                torch.autograd.backward(both * model.processes.world)
        total = _added(total, losses)
    return total


def total_loss(losses: Losses, stage: Stage) -> Tensor:
    """Return the sum of the losses that the stage trains."""
    trained = MASK_LOSSES if stage == "masks" else [n for n in losses if n.startswith("loss")]
    return torch.stack([losses[name] for name in trained]).sum()


def _added(total: Losses, losses: Losses) -> Losses:
    return {name: total.get(name, 0) + value for name, value in losses.items()}


def _shares(model: StageModel, step: Step, batches: list[Batch]) -> Tensor:
    """Return (batches, 4): each batch's share of the step's `_denominators`."""
    own = torch.stack([_denominators(batch, model.config) for batch in batches])
    own = own * step.is_counted
    return own / model.processes.sum(own.sum(0)).clamp(min=1e-9)


def _denominators(batch: Batch, config: TrainConfig) -> Tensor:
    """Return the denominators (4,) of a batch's means, which are known before the forward pass.

    They are the total weight of all queries in the classification loss and the numbers of segments,
    matches and photos.
    """
    numbers = [len(target.labels) for target in batch.targets]
    matched = sum(min(n, config.num_queries) for n in numbers)
    unmatched = config.num_queries * len(numbers) - matched
    counts = [matched + config.eos_coef * unmatched, sum(numbers), matched, len(numbers)]
    return torch.tensor(counts, dtype=torch.float64)


def _scaled(losses: Losses, share: Tensor) -> Losses:
    """Convert a batch's means to its part of the step's means."""
    classes, segments, matches, photos = share.tolist()
    special = {"class_error": matches, "cardinality_error": photos}
    return {
        name: value * (classes if name.startswith("loss_ce") else special.get(name, segments))
        for name, value in losses.items()
    }
