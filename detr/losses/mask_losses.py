"""Focal and dice loss of masks as large as photos, with their gradients worked out by hand.

A batch can have hundreds of masks. Autograd would keep ten arrays of all of them, each as large as
a photo; here a few masks at a time go through, and what is kept is as small as the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

AT_ONCE = 2**18  # pixels, on a CPU: of more, what is computed on the way leaves its caches


def focal_and_dice(
    logits: Tensor, wanted: Tensor, *, weights: tuple[float, float] = (1, 1)
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (K,) of logits (K, h, w), grown to the size of the `wanted` masks (K, H, W).

    Both, multiplied by their `weights` and added up, which has a gradient; then focal and dice loss
    as they are, which have none.

    Focal: mean over the pixels, alpha 0.25, gamma 2 (Lin et al., ICCV 2017). Dice: 1 minus twice
    the overlap over the sum of both, 1 added above and below (Milletari et al., 3DV 2016).
    """
    losses: tuple[Tensor, Tensor, Tensor] = _FocalAndDice.apply(logits, wanted, weights)  # type: ignore[no-untyped-call]
    return losses


class _FocalAndDice(torch.autograd.Function):
    """The gradient is computed with the losses, whose intermediate arrays it shares."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, wanted: Tensor, weights: tuple[float, float]
    ) -> tuple[Tensor, Tensor, Tensor]:
        learns = weights if ctx.needs_input_grad[0] else None
        size = max(1, AT_ONCE // wanted[0].numel()) if logits.device.type == "cpu" else len(logits)
        parts = zip(torch.split(logits, size), torch.split(wanted, size), strict=True)
        with torch.autocast(logits.device.type, enabled=False):
            each = [_losses(*part, learns) for part in parts]
        focal, dice, *gradient = (torch.cat(values) for values in zip(*each, strict=True))
        ctx.save_for_backward(*gradient)
        ctx.mark_non_differentiable(focal, dice)
        return weights[0] * focal + weights[1] * dice, focal, dice

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_both: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return of_both[:, None, None] * gradient, None, None


def _losses(
    logits: Tensor, wanted: Tensor, learns: tuple[float, float] | None
) -> tuple[Tensor, ...]:
    """Both losses of some masks and, where one `learns`, the gradient of both with those weights.

    All follows from how wrong each pixel is, so that few passes are made; arrays are changed in
    place, each as soon as its old values are no longer needed.
    """
    # masks stand as channels: with one channel each, the gradient takes twice as long
    grown = F.interpolate(logits[None], size=wanted.shape[-2:], mode="bilinear")[0]
    bits = wanted.view(torch.uint8) if wanted.dtype == torch.bool else wanted  # cast faster
    truth, pixels = bits.to(grown.dtype, copy=True), wanted[0].numel()
    signed = torch.addcmul(grown, grown, truth, value=-2)  # the other way where the segment is
    wrong = signed.sigmoid()  # 1 minus the chance of the truth
    surprise = F.softplus(signed)  # minus the log of that chance
    square = wrong * wrong
    blame = square * surprise
    # alpha is 3/4 where nothing is, and 1/4, or 1/2 less, where the segment is
    focal = (0.75 * blame.sum((1, 2)) - 0.5 * blame.mul_(truth).sum((1, 2))) / pixels
    hit = truth.sum((1, 2)) - torch.mul(wrong, truth, out=blame).sum((1, 2))
    overlap, both = 2 * hit + 1, 2 * hit + wrong.sum((1, 2)) + 1
    dice = 1 - overlap / both
    if not learns:
        return focal, dice
    right = torch.sub(1, wrong, out=blame)
    # of wrong^2 surprise: wrong^2 (wrong + 2 right surprise); then alpha and the sign
    of_focal = torch.addcmul(wrong, right, surprise, value=2).mul_(square)
    of_focal.mul_(torch.sub(0.75, truth, out=surprise))
    # of overlap over both by the chance of the segment, whose own gradient is right times wrong
    a, b = (learns[1] * x[:, None, None] for x in (overlap / both.square(), 2 / both))
    of_dice = truth.mul_(-b).add_(a).mul_(wrong).mul_(right)
    gradient = of_dice.add_(of_focal, alpha=learns[0] / pixels)
    return focal, dice, _shrink(gradient, logits.shape[-2:])


def _shrink(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """Gradient (K, H, W) of what was grown to that (K, h, w) of what was there before.

    Of a fourfold growth this is a convolution, on a CPU three times as fast as torch's own. Pixels
    at the border were grown from the outermost places alone, so what would go to places beyond
    those comes to them.
    """
    grown, shape = gradient.shape[-2:], (1, len(gradient), *size)
    fourfold = all(large == 4 * small for large, small in zip(grown, size, strict=True))
    if not fourfold or gradient.device.type != "cpu":
        plain: Tensor = torch.ops.aten.upsample_bilinear2d_backward(
            gradient[None], grown, shape, False
        )
        return plain[0]
    line = gradient.new_tensor([1, 3, 5, 7, 7, 5, 3, 1]) / 8
    kernel = torch.outer(line, line)[None, None]
    small = F.conv2d(gradient[:, None], kernel, stride=4, padding=6)[:, 0]
    for from_, to in ((0, 1), (-1, -2)):  # one place more than there is on every side
        small[:, to] += small[:, from_]
        small[:, :, to] += small[:, :, from_]
    return small[:, 1:-1, 1:-1]
