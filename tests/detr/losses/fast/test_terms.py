"""Single losses worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from detr.data.boxes import giou_matrix, iou_pairs
from detr.losses.fast.terms import entropy_and_dice, matching_aware_loss, semantic_loss

LN2 = math.log(2)


def test_matching_aware_loss_of_undecided_logits() -> None:
    """Of three queries one answers for class 1 with an IoU of 1/4, one for nothing, one is ignored.

    The target of the first is 1/8, whose cross entropy with 1/2 is ln 2, as any; classes that are
    not there weigh (1/2)^1.5.
    """
    logits = torch.zeros(1, 1, 3, 2, requires_grad=True)
    quality = torch.full((1, 1, 3, 2), -1.0)
    quality[0, 0, 0, 1] = 0.25
    counted = torch.tensor([[[True, True, False]]])
    loss = matching_aware_loss(logits, quality, counted)
    assert loss.tolist() == pytest.approx([LN2 * (1 + 3 * 0.5**1.5)])
    torch.autograd.backward(loss)
    assert logits.grad is not None
    away = 0.5 * 0.5**1.5
    expected = [[away, 0.5 - 0.125], [away, away], [0, 0]]
    assert torch.allclose(logits.grad[0, 0], torch.tensor(expected))


def test_iou_of_pairs_is_that_of_the_matrix() -> None:
    """The generalised IoU of boxes that share an outline is their IoU."""
    ones = torch.tensor([[0.5, 0.5, 0.4, 0.2], [0.2, 0.2, 0.1, 0.1]])
    others = torch.tensor([[0.6, 0.5, 0.4, 0.2], [0.8, 0.8, 0.1, 0.1]])
    assert iou_pairs(ones, others).tolist() == pytest.approx([0.6, 0])
    assert float(giou_matrix(ones, others)[0, 0]) == pytest.approx(0.6)


def test_masks_are_judged_by_known_places_only() -> None:
    """Of four undecided places one is unknown, and one of the others is the segment.

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


def test_a_half_known_place_counts_half() -> None:
    """Half of the place is known, all of that is the segment."""
    known, wanted = torch.tensor([[0.5]]), torch.tensor([[[0.5]]])
    entropy, dice = entropy_and_dice(torch.tensor([[[40.0]]]), wanted, known)
    assert float(entropy) == pytest.approx(0, abs=1e-6)
    assert float(dice) == pytest.approx(0, abs=1e-6)


def test_semantic_loss_sums_over_known_places() -> None:
    """Four classes, all alike: ln 4 for each of the two known places; the third is void."""
    masks = torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]]])
    loss = semantic_loss(torch.zeros(4, 1, 3), torch.tensor([2, 2]), masks)
    assert float(loss) == pytest.approx(2 * math.log(4))
