"""Focal and dice loss are torchvision's and the formula, their gradients those of autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from detr.losses.mask_losses import focal_and_dice


def by_formula(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses (K,), by autograd."""
    grown = F.interpolate(logits[None], size=wanted.shape[-2:], mode="bilinear")[0].flatten(1)
    truth = wanted.flatten(1).to(grown.dtype)
    chance = grown.sigmoid()
    dice = 1 - (2 * (chance * truth).sum(1) + 1) / (chance.sum(1) + truth.sum(1) + 1)
    return sigmoid_focal_loss(grown, truth, alpha=0.25, gamma=2).mean(1), dice


@pytest.mark.parametrize(
    "size", [(8, 12), (32, 48), (31, 48), (13, 22)], ids=["same", "fourfold", "nearly", "odd"]
)
@pytest.mark.parametrize("at_once", [1, 3000, 2**20], ids=["one", "some", "all"])
def test_losses_and_gradients(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], at_once: int
) -> None:
    """Focal and dice loss weigh differently, and so does every mask."""
    monkeypatch.setattr("detr.losses.mask_losses.AT_ONCE", at_once)
    torch.manual_seed(0)
    logits = torch.randn(5, 8, 12, dtype=torch.float64, requires_grad=True)
    wanted = torch.rand(5, *size) > 0.7
    both, *each = focal_and_dice(logits * 5, wanted, weights=(0.3, 2))
    focal, dice = by_formula(logits * 5, wanted)
    for found, expected in zip((both, *each), (0.3 * focal + 2 * dice, focal, dice), strict=True):
        assert torch.allclose(found, expected, atol=1e-12)
    masks = torch.rand(5, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((loss * masks).sum(), logits) for loss in (both, 0.3 * focal + 2 * dice)
    ]
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-12)
    assert not any(loss.requires_grad for loss in each)
    with torch.no_grad():
        again = focal_and_dice(logits * 5, wanted, weights=(0.3, 2))
    assert torch.equal(torch.stack(again), torch.stack([both, *each]))


def test_of_a_perfect_mask_both_are_near_zero_and_of_its_opposite_not() -> None:
    wanted = torch.tensor([[[True, True], [False, False]]])
    logits = (wanted.float() - 0.5) * 200
    _, focal, dice = focal_and_dice(logits, wanted)
    assert float(focal) == pytest.approx(0, abs=1e-6)
    assert float(dice) == pytest.approx(0, abs=1e-6)
    _, focal, dice = focal_and_dice(-logits, wanted)
    assert float(focal) == pytest.approx(100 * 0.5)  # alpha weighs 1/4 and 3/4
    assert float(dice) == pytest.approx(1 - 1 / 5)


def test_the_arguments_are_not_changed() -> None:
    """What is changed in place are copies, also where nothing is grown or cast."""
    logits, wanted = torch.randn(2, 3, 4), (torch.rand(2, 3, 4) > 0.5).float()
    before = logits.clone(), wanted.clone()
    focal_and_dice(logits, wanted)
    focal_and_dice(logits.requires_grad_(True), wanted)
    assert torch.equal(before[0], logits) and torch.equal(before[1], wanted)


def test_within_autocast_nothing_is_computed_in_less() -> None:
    logits, wanted = torch.randn(2, 4, 4, requires_grad=True), torch.rand(2, 16, 16) > 0.5
    gradients = []
    for lower in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=lower):
            both, *_ = focal_and_dice(logits, wanted)
        gradients += torch.autograd.grad(both.sum(), logits)
    assert torch.equal(*gradients)
