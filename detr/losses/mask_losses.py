"""Focal and dice losses of masks at the size of photos, with hand-written gradients.

A batch can have hundreds of masks, and for each of them, autograd would keep ten arrays the size of
a photo. Here, a few masks are computed at a time, and only an array the size of the logits is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PIXELS_AT_ONCE = 2**18  # on a CPU, so that the intermediate arrays fit into its caches


def focal_and_dice(
    logits: Tensor, masks: Tensor, *, weights: tuple[float, float] = (1, 1)
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute losses (K,) of logits (K, h, w), upsampled to the masks (K, H, W).

    Focal loss: mean over the pixels, alpha 0.25, gamma 2 (Lin et al., ICCV 2017). Dice loss: 1
    minus twice the overlap divided by the sum of both areas, with 1 added to numerator and
    denominator (Milletari et al., 3DV 2016).

    Returns the sum of both multiplied by their `weights`, which has a gradient, then the focal and
    the dice losses, unweighted and without gradients.
    """
    losses: tuple[Tensor, Tensor, Tensor] = _FocalAndDice.apply(logits, masks, weights)  # type: ignore[no-untyped-call]
    return losses


class _FocalAndDice(torch.autograd.Function):
    """Computes the gradient together with the losses, since both need the same arrays."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, masks: Tensor, weights: tuple[float, float]
    ) -> tuple[Tensor, Tensor, Tensor]:
        gradient_weights = weights if ctx.needs_input_grad[0] else None
        on_cpu = logits.device.type == "cpu"
        size = max(1, PIXELS_AT_ONCE // masks[0].numel()) if on_cpu else len(logits)
        parts = zip(torch.split(logits, size), torch.split(masks, size), strict=True)
        with torch.autocast(logits.device.type, enabled=False):
            results = [_losses(*part, gradient_weights) for part in parts]
        focal, dice, *gradient = (torch.cat(values) for values in zip(*results, strict=True))
        ctx.save_for_backward(*gradient)
        ctx.mark_non_differentiable(focal, dice)
        return weights[0] * focal + weights[1] * dice, focal, dice

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad_output[:, None, None] * gradient, None, None


def _losses(
    logits: Tensor, masks: Tensor, gradient_weights: tuple[float, float] | None
) -> tuple[Tensor, ...]:
    """Return focal losses, dice losses and, given weights, the gradient of their weighted sum.

    Everything is computed from `error` = 1 - p, where p is the predicted probability of a pixel's
    true value (segment or not). Arrays are overwritten once their values are no longer needed.
    """
    # masks are passed as channels: as a batch with one channel, the gradient takes twice as long
    upsampled = F.interpolate(logits[None], size=masks.shape[-2:], mode="bilinear")[0]
    values = masks.view(torch.uint8) if masks.dtype == torch.bool else masks  # converts faster
    truth, pixels = values.to(upsampled.dtype, copy=True), masks[0].numel()
    signed = torch.addcmul(upsampled, upsampled, truth, value=-2)  # negated inside the segment
    error = signed.sigmoid()  # 1 - p
    nll = F.softplus(signed)  # -log p
    squared = error * error
    focal_terms = squared * nll
    # alpha is 0.75 outside the segment and 0.25, which is 0.5 less, inside
    focal = (0.75 * focal_terms.sum((1, 2)) - 0.5 * focal_terms.mul_(truth).sum((1, 2))) / pixels
    overlap = truth.sum((1, 2)) - torch.mul(error, truth, out=focal_terms).sum((1, 2))
    numerator, denominator = 2 * overlap + 1, 2 * overlap + error.sum((1, 2)) + 1
    dice = 1 - numerator / denominator
    if not gradient_weights:
        return focal, dice
    p = torch.sub(1, error, out=focal_terms)
    # d(error^2 nll) = error^2 (error + 2 p nll); then alpha and the sign
    focal_gradient = torch.addcmul(error, p, nll, value=2).mul_(squared)
    focal_gradient.mul_(torch.sub(0.75, truth, out=nll))
    # quotient rule, times the derivative p * error of the sigmoid
    a, b = (
        gradient_weights[1] * factor[:, None, None]
        for factor in (numerator / denominator.square(), 2 / denominator)
    )
    dice_gradient = truth.mul_(-b).add_(a).mul_(error).mul_(p)
    gradient = dice_gradient.add_(focal_gradient, alpha=gradient_weights[0] / pixels)
    return focal, dice, _downsample_gradient(gradient, logits.shape[-2:])


def _downsample_gradient(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """Return the gradient (K, h, w) of the logits from that of the upsampled logits (K, H, W).

    For fourfold upsampling, this is a strided convolution, which on a CPU is three times as fast as
    torch's own gradient. Pixels at the border were interpolated from the outermost logits alone, so
    the gradient that the convolution assigns beyond the border is added to those logits.
    """
    upsampled, shape = gradient.shape[-2:], (1, len(gradient), *size)
    fourfold = all(large == 4 * small for large, small in zip(upsampled, size, strict=True))
    if not fourfold or gradient.device.type != "cpu":
        plain: Tensor = torch.ops.aten.upsample_bilinear2d_backward(
            gradient[None], upsampled, shape, False
        )
        return plain[0]
    line = gradient.new_tensor([1, 3, 5, 7, 7, 5, 3, 1]) / 8
    kernel = torch.outer(line, line)[None, None]
    small = F.conv2d(gradient[:, None], kernel, stride=4, padding=6)[:, 0]  # (K, h + 2, w + 2)
    for beyond, outermost in ((0, 1), (-1, -2)):
        small[:, outermost] += small[:, beyond]
        small[:, :, outermost] += small[:, :, beyond]
    return small[:, 1:-1, 1:-1]
