"""The losses of one step of `FastDETR` and their gradients: forward, matching, losses, backward.

As in `batch_losses`, a step's losses equal those of one batch with all its photos. They are sums
over photos, divided by normalisers known before the forward pass, so the normalisers of all batches
and processes are added up first.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from detr.data.batch import Batch
from detr.data.loader import Step
from detr.losses.criterion import Losses
from detr.losses.fast.criterion import fast_losses
from detr.losses.fast.targets import FastTarget, count_targets, prepare_target
from detr.model.fast.detr import FastDETR
from detr.model.fast.output import FastOutput
from detr.training.processes import set_gradient_sync
from detr.training.stage_model import StageModel, to_device


def fast_step_losses(
    model: StageModel, module: FastDETR, step: Step, batches: list[Batch]
) -> Losses:
    """Return this process's part of all losses of a step, detached; see `step_losses`.

    `module` is `model.module`.
    """
    device, kinds = model.processes.device, module.kinds
    total: Losses = {}
    with model.clock("matching"):
        targets = [[prepare_target(t, kinds, device) for t in b.targets] for b in batches]
        counts = sum((count_targets(each) for each in targets), torch.zeros(4, dtype=torch.float64))
        totals = model.processes.sum(counts * step.is_counted)
    for index, (batch, each) in enumerate(zip(batches, targets, strict=True)):
        set_gradient_sync(model.trunk, index == len(batches) - 1)
        with model.clock("forward"), model.autocast():
            output = model.trunk(to_device(batch.inputs, device))
            output = output if output.semantic else _with_semantic(output, module)
        losses = _batch_losses(model, output, each, totals, weight=float(step.is_counted))
        total = {name: total.get(name, 0) + value for name, value in losses.items()}
    return total


def _batch_losses(
    model: StageModel,
    output: FastOutput,
    targets: list[FastTarget],
    totals: Tensor,
    *,
    weight: float,
) -> Losses:
    """Return the losses of one batch and their sum, detached, and accumulate their gradients."""
    with model.clock("matching"):
        losses = fast_losses(output, targets, totals, model.config)
        losses = {name: value * weight for name, value in losses.items()}
        loss = torch.stack(list(losses.values())).sum()
    if torch.is_grad_enabled():
        with model.clock("backward"):
            torch.autograd.backward(loss * model.processes.world)
    return {name: value.detach() for name, value in {"loss": loss, **losses}.items()}


def _with_semantic(output: FastOutput, module: FastDETR) -> FastOutput:
    """Add the pixel class logits, which the model omits in evaluation mode.

    Training and test losses then have the same terms.
    """
    semantic = tuple(module.semantic_embed(pixels[None])[0] for pixels in output.pixels)
    return replace(output, semantic=semantic)
