"""Loss terms compared with values calculated by hand."""

from __future__ import annotations

import math

import pytest
import torch

from detr.data.boxes import giou_matrix, iou_pairs
from detr.losses.fast.terms import entropy_and_dice, matching_aware_loss, semantic_loss

LN2 = math.log(2)


def test_matching_aware_loss_of_zero_logits() -> None:
    """Of three queries, one is matched to class 1 with an IoU of 1/4, and the last is ignored.

    The target of the first is 1/8; for a probability of 1/2, the cross entropy is ln 2 for any
    target. Negatives have weight (1/2)^1.5.
    """
    logits = torch.zeros(1, 1, 3, 2, requires_grad=True)
    quality = torch.full((1, 1, 3, 2), -1.0)
    quality[0, 0, 0, 1] = 0.25
    counted = torch.tensor([[[True, True, False]]])
    loss = matching_aware_loss(logits, quality, counted)
    assert loss.tolist() == pytest.approx([LN2 * (1 + 3 * 0.5**1.5)])
    torch.autograd.backward(loss)
    assert logits.grad is not None
    negative = 0.5 * 0.5**1.5
    expected = [[negative, 0.5 - 0.125], [negative, negative], [0, 0]]
    assert torch.allclose(logits.grad[0, 0], torch.tensor(expected))


def test_iou_of_pairs_is_that_of_the_matrix() -> None:
    """Where the union of two boxes is itself a box, the generalised IoU is the IoU."""
    ones = torch.tensor([[0.5, 0.5, 0.4, 0.2], [0.2, 0.2, 0.1, 0.1]])
    others = torch.tensor([[0.6, 0.5, 0.4, 0.2], [0.8, 0.8, 0.1, 0.1]])
    assert iou_pairs(ones, others).tolist() == pytest.approx([0.6, 0])
    assert float(giou_matrix(ones, others)[0, 0]) == pytest.approx(0.6)


def test_unknown_pixels_do_not_affect_mask_losses() -> None:
    """Of four pixels with logit 0, one is unknown, and one of the others is the segment.

    Cross entropy ln 2; dice: 1 - (2 * 1/2 + 1) / (3/2 + 1 + 1).
    """
    known = torch.tensor([[1.0, 1, 1, 0]])
    wanted = torch.tensor([[[1.0, 0, 0, 0]]])
    logits = torch.zeros(1, 1, 4, requires_grad=True)
    entropy, dice = entropy_and_dice(logits, wanted, known)
    assert float(entropy.detach()) == pytest.approx(LN2)
    assert float(dice.detach()) == pytest.approx(1 - 2 / 3.5)
    torch.autograd.backward((entropy + dice).sum())
    assert logits.grad is not None
    assert logits.grad[0, 0, 3] == 0 and logits.grad[0, 0, :3].all()


def test_a_half_known_pixel_counts_half() -> None:
    """Half of the pixel is known, and all of that half is the segment."""
    known, wanted = torch.tensor([[0.5]]), torch.tensor([[[0.5]]])
    entropy, dice = entropy_and_dice(torch.tensor([[[40.0]]]), wanted, known)
    assert float(entropy) == pytest.approx(0, abs=1e-6)
    assert float(dice) == pytest.approx(0, abs=1e-6)


def test_semantic_loss_sums_over_known_pixels() -> None:
    """Four classes with equal logits: ln 4 for each of two known pixels; the third is void."""
    masks = torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]]])
    loss = semantic_loss(torch.zeros(4, 1, 3), torch.tensor([2, 2]), masks)
    assert float(loss) == pytest.approx(2 * math.log(4))
