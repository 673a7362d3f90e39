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


def focal_and_dice(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (K, h, w), grown to the size of the `wanted` masks (K, H, W), to losses (K,) each.

    Focal: mean over the pixels, alpha 0.25, gamma 2 (Lin et al., ICCV 2017). Dice: 1 minus twice
    the overlap over the sum of both, 1 added above and below (Milletari et al., 3DV 2016).
    """
    losses: tuple[Tensor, Tensor] = _FocalAndDice.apply(logits, wanted)  # type: ignore[no-untyped-call]
    return losses


class _FocalAndDice(torch.autograd.Function):
    """The gradients of both are computed with the losses, whose intermediate arrays they share."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        learns = ctx.needs_input_grad[0]
        size = max(1, AT_ONCE // wanted[0].numel()) if logits.device.type == "cpu" else len(logits)
        parts = zip(torch.split(logits, size), torch.split(wanted, size), strict=True)
        with torch.autocast(logits.device.type, enabled=False):
            each = [_losses(*part, learns=learns) for part in parts]
        focal, dice, *gradients = (torch.cat(values) for values in zip(*each, strict=True))
        ctx.save_for_backward(*gradients)
        return focal, dice

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor) -> tuple[Tensor, None]:
        of_focal, of_dice = ctx.saved_tensors
        focal, dice = (loss[:, None, None] for loss in losses)
        return torch.addcmul(focal * of_focal, dice, of_dice), None


def _losses(logits: Tensor, wanted: Tensor, *, learns: bool) -> tuple[Tensor, ...]:
    """Both losses of some masks and, where it `learns`, the gradients of either.

    All follows from how wrong each pixel is, so that few passes are made; arrays are changed in
    place, each as soon as its old values are no longer needed.
    """
    # masks stand as channels: with one channel each, the gradient takes twice as long
    grown = F.interpolate(logits[None], size=wanted.shape[-2:], mode="bilinear")[0]
    truth = wanted.to(grown.dtype, copy=True)
    sign = 1 - 2 * truth  # -1 where the segment is
    signed = grown.mul_(sign)
    wrong = signed.sigmoid()  # 1 minus the chance of the truth
    surprise = F.softplus(signed)  # minus the log of that chance
    weight = sign.mul(0.25).add_(0.5).mul_(wrong)  # alpha times wrong
    focal = (weight * wrong).mul_(surprise).mean((1, 2))
    area, missed = truth.sum((1, 2)), (wrong * truth).sum((1, 2))
    overlap = 2 * (area - missed) + 1
    both = 2 * (area - missed) + wrong.sum((1, 2)) + 1
    dice = 1 - overlap / both
    if not learns:
        return focal, dice
    right = 1 - wrong
    # of alpha wrong^2 surprise: alpha wrong^2 (wrong + 2 right surprise)
    gradients = grown.new_empty(2, *grown.shape)
    of_focal = surprise.mul_(2).mul_(right).add_(wrong).mul_(wrong).mul_(weight)
    torch.mul(of_focal, sign.div_(wanted[0].numel()), out=gradients[0])
    # of overlap over both by the chance of the segment, whose own gradient is right times wrong
    a, b = (x[:, None, None] for x in (overlap / both.square(), 2 / both))
    torch.mul(truth.mul_(-b).add_(a).mul_(wrong), right, out=gradients[1])
    return focal, dice, *_shrink(gradients, logits.shape[-2:])


def _shrink(gradients: Tensor, size: Sequence[int]) -> Tensor:
    """Gradients (2, K, H, W) of what was grown to those (2, K, h, w) of what was there before.

    Of a fourfold growth this is a convolution, on a CPU three times as fast as torch's own. Pixels
    at the border were grown from the outermost places alone, so what would go to places beyond
    those comes to them.
    """
    grown, shape = gradients.shape[-2:], (*gradients.shape[:2], *size)
    fourfold = all(large == 4 * small for large, small in zip(grown, size, strict=True))
    if not fourfold or gradients.device.type != "cpu":
        plain: Tensor = torch.ops.aten.upsample_bilinear2d_backward(gradients, grown, shape, False)
        return plain
    line = gradients.new_tensor([1, 3, 5, 7, 7, 5, 3, 1]) / 8
    kernel = torch.outer(line, line)[None, None]
    small = F.conv2d(gradients.flatten(0, 1)[:, None], kernel, stride=4, padding=6)[:, 0]
    for from_, to in ((0, 1), (-1, -2)):  # one place more than there is on every side
        small[:, to] += small[:, from_]
        small[:, :, to] += small[:, :, from_]
    return small[:, 1:-1, 1:-1].reshape(shape)
