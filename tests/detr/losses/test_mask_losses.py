"""Focal and dice losses, compared with torchvision, a formula and autograd's gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from detr.losses.mask_losses import focal_and_dice


def by_formula(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return focal and dice losses (K,), computed so that autograd can differentiate them."""
    upsampled = F.interpolate(logits[None], size=masks.shape[-2:], mode="bilinear")[0].flatten(1)
    truth = masks.flatten(1).to(upsampled.dtype)
    probability = upsampled.sigmoid()
    dice = 1 - (2 * (probability * truth).sum(1) + 1) / (probability.sum(1) + truth.sum(1) + 1)
    return sigmoid_focal_loss(upsampled, truth, alpha=0.25, gamma=2).mean(1), dice


@pytest.mark.parametrize(
    "size",
    [(8, 12), (32, 48), (31, 48), (13, 22)],
    ids=["same", "fourfold", "nearly fourfold", "odd"],
)
@pytest.mark.parametrize("at_once", [1, 3000, 2**20], ids=["one", "some", "all"])
def test_losses_and_gradients(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], at_once: int
) -> None:
    """With different weights for the two losses and for each mask."""
    monkeypatch.setattr("detr.losses.mask_losses.PIXELS_AT_ONCE", at_once)
    torch.manual_seed(0)
    logits = torch.randn(5, 8, 12, dtype=torch.float64, requires_grad=True)
    masks = torch.rand(5, *size) > 0.7
    total, *losses = focal_and_dice(logits * 5, masks, weights=(0.3, 2))
    focal, dice = by_formula(logits * 5, masks)
    for found, expected in zip(
        (total, *losses), (0.3 * focal + 2 * dice, focal, dice), strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-12)
    factors = torch.rand(5, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((loss * factors).sum(), logits)
        for loss in (total, 0.3 * focal + 2 * dice)
    ]
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-12)
    assert not any(loss.requires_grad for loss in losses)
    with torch.no_grad():
        again = focal_and_dice(logits * 5, masks, weights=(0.3, 2))
    assert torch.equal(torch.stack(again), torch.stack([total, *losses]))


def test_a_perfect_mask_has_no_loss_but_its_inverse_has() -> None:
    masks = torch.tensor([[[True, True], [False, False]]])
    logits = (masks.float() - 0.5) * 200
    _, focal, dice = focal_and_dice(logits, masks)
    assert float(focal) == pytest.approx(0, abs=1e-6)
    assert float(dice) == pytest.approx(0, abs=1e-6)
    _, focal, dice = focal_and_dice(-logits, masks)
    assert float(focal) == pytest.approx(100 * 0.5)  # alpha is 1/4 in one half, 3/4 in the other
    assert float(dice) == pytest.approx(1 - 1 / 5)


def test_the_arguments_are_not_changed() -> None:
    """Copies are overwritten, even if nothing is upsampled or converted."""
    logits, masks = torch.randn(2, 3, 4), (torch.rand(2, 3, 4) > 0.5).float()
    before = logits.clone(), masks.clone()
    focal_and_dice(logits, masks)
    focal_and_dice(logits.requires_grad_(True), masks)
    assert torch.equal(before[0], logits) and torch.equal(before[1], masks)


def test_autocast_does_not_lower_the_precision() -> None:
    logits, masks = torch.randn(2, 4, 4, requires_grad=True), torch.rand(2, 16, 16) > 0.5
    gradients = []
    for lower in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=lower):
            total, *_ = focal_and_dice(logits, masks)
        gradients += torch.autograd.grad(total.sum(), logits)
    assert torch.equal(*gradients)
