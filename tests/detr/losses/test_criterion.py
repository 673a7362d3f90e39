"""Losses worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from detr.config import TrainConfig
from detr.data.boxes import giou_pairs
from detr.data.examples import Target
from detr.data.padded import Padded
from detr.losses.criterion import box_losses, guess_errors, layer_losses, mask_losses, stack_masks
from detr.losses.matcher import Match
from detr.model.detr import Guess, Output

CONFIG = TrainConfig()
LOG3 = math.log(3)


def target(labels: list[int], boxes: list[list[float]], masks: torch.Tensor) -> Target:
    return Target(
        1,
        "a.jpg",
        (masks.shape[1], masks.shape[2]),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        masks.bool(),
    )


def pairs(*matches: tuple[list[int], list[int]]) -> list[Match]:
    return [
        (torch.tensor(queries, dtype=torch.int64), torch.tensor(segments, dtype=torch.int64))
        for queries, segments in matches
    ]


def guess_losses(
    guess: Guess, targets: list[Target], matches: list[Match]
) -> dict[str, torch.Tensor]:
    """Losses of one layer."""
    losses = layer_losses([guess], targets, [matches], CONFIG)
    return {name: value[0] for name, value in losses.items()}


ONE = target([1], [[0.5, 0.5, 0.2, 0.2]], torch.zeros(1, 4, 4))
NONE = target([], [], torch.zeros(0, 4, 4))


def test_classification_weighs_no_object_with_eos_coef() -> None:
    """Two queries, two classes: the matched one is undecided, the other says no-object: 3/4."""
    logits = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, math.log(6)]]])
    guess = Guess(logits, torch.tensor([[[0.5, 0.5, 0.2, 0.2]] * 2]))
    losses = guess_losses(guess, [ONE], pairs(([0], [0])))
    expected = (LOG3 + 0.1 * math.log(8 / 6)) / (1 + 0.1)
    assert float(losses["loss_ce"]) == pytest.approx(expected, abs=1e-5)
    assert float(losses["loss_bbox"]) == float(losses["loss_giou"]) == 0


def test_boxes_are_divided_by_all_segments_of_the_batch() -> None:
    """Centre off by 0.1 of width 0.2: L1 0.1, IoU = GIoU = 1/3; two segments, one of them found."""
    two = target([1, 0], [[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]], torch.zeros(2, 4, 4))
    guess = Guess(torch.zeros(1, 1, 3), torch.tensor([[[0.6, 0.5, 0.2, 0.2]]]))
    losses = guess_losses(guess, [two], pairs(([0], [0])))
    assert float(losses["loss_bbox"]) == pytest.approx(5 * 0.1 / 2, abs=1e-5)
    assert float(losses["loss_giou"]) == pytest.approx(2 * (1 - 1 / 3) / 2, abs=1e-5)


def test_earlier_layers_have_the_same_losses_under_numbered_names() -> None:
    guess = Guess(torch.zeros(1, 2, 3), torch.tensor([[[0.6, 0.5, 0.2, 0.2]] * 2]))
    empty = torch.zeros(1, 2, 8)
    output = Output((guess, guess, guess), empty, empty, Padded(empty, empty), [])
    losses = box_losses(output, [ONE], pairs(([0], [0])), CONFIG)
    assert set(losses) == {
        *(f"loss_{part}{layer}" for part in ("ce", "bbox", "giou") for layer in ("", "_0", "_1")),
        "class_error",
        "cardinality_error",
    }
    assert losses["loss_giou_1"] == losses["loss_giou"]
    assert losses["loss_ce_0"] == losses["loss_ce"]
    single = box_losses(output, [ONE], pairs(([0], [0])), TrainConfig(aux_loss=False))
    assert "loss_ce_0" not in single


def test_photos_without_segments_only_learn_no_object() -> None:
    guess = Guess(torch.zeros(1, 2, 3, requires_grad=True), torch.rand(1, 2, 4))
    losses = guess_losses(guess, [NONE], pairs(([], [])))
    assert float(losses["loss_ce"].detach()) == pytest.approx(LOG3, abs=1e-5)
    assert float(losses["loss_bbox"]) == float(losses["loss_giou"]) == 0
    assert float(guess_errors(guess, [NONE], pairs(([], [])))["class_error"]) == 0


def test_errors_count_wrong_classes_and_wrong_numbers() -> None:
    """Query 0 rightly says class 1, query 1 wrongly class 0: half wrong; 2 found, 2 there."""
    two = target([1, 1], [[0.5] * 4, [0.4] * 4], torch.zeros(2, 4, 4))
    guess = Guess(torch.tensor([[[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]]), torch.rand(1, 3, 4))
    errors = guess_errors(guess, [two], pairs(([0, 1], [0, 1])))
    assert float(errors["class_error"]) == 50
    assert float(errors["cardinality_error"]) == 0


def test_mask_losses_of_undecided_masks() -> None:
    """Logit 0 everywhere, a quarter of 16 pixels set.

    Focal: ln 2 * 1/4 * (1/4 * 1/4 + 3/4 * 3/4); dice: 1 - (2 * 2 + 1) / (8 + 4 + 1).
    """
    truth = torch.zeros(1, 4, 4)
    truth[0, :2, :2] = 1
    photo = target([0], [[0.25, 0.25, 0.5, 0.5]], truth)
    config = replace(CONFIG, mask_loss_coef=2, dice_loss_coef=3)
    both, losses = mask_losses(torch.zeros(1, 1, 1), photo.masks, 4, config)
    focal, dice = math.log(2) / 4 * 0.625, 1 - 5 / 13
    assert float(losses["loss_mask"]) == pytest.approx(2 * focal / 4, abs=1e-6)
    assert float(losses["loss_dice"]) == pytest.approx(3 * dice / 4, abs=1e-6)
    assert float(both) == pytest.approx((2 * focal + 3 * dice) / 4, abs=1e-6)


def test_mask_losses_pad_smaller_photos_with_nothing() -> None:
    """A 2x2 photo full of one segment beside a 4x4 photo: at 4x4 a quarter is the segment."""
    full = target([0], [[0.5, 0.5, 1, 1]], torch.ones(1, 2, 2))
    matches = pairs(([0], [0]), ([], []))
    _, losses = mask_losses(torch.zeros(1, 2, 2), stack_masks([full, NONE], matches), 1, CONFIG)
    assert float(losses["loss_dice"]) == pytest.approx(1 - 5 / 13, abs=1e-6)


def test_mask_losses_without_segments_are_zero_and_still_a_step() -> None:
    logits = torch.zeros(0, 2, 2, requires_grad=True)
    both, losses = mask_losses(logits, stack_masks([NONE], pairs(([], []))), 1, CONFIG)
    assert float(losses["loss_mask"]) == float(losses["loss_dice"]) == 0
    torch.autograd.backward(both)
    assert logits.grad is not None


def test_boxes_without_area_have_a_loss_and_a_gradient() -> None:
    """The same point twice: no overlap, nothing between them. Once this was 0 / 0."""
    points = torch.tensor([[0.5, 0.5, 0.0, 0.0]], requires_grad=True)
    loss = 1 - giou_pairs(points, points.detach().clone())
    torch.autograd.backward(loss.sum())
    assert float(loss.detach()) == 1
    assert points.grad is not None and points.grad.isfinite().all()


def test_giou_of_tiny_boxes_is_that_of_large_ones() -> None:
    """Shifted by half of their width: a third of the union is shared."""
    ones, others = torch.tensor([[0.5, 0.5, 2e-4, 2e-4]]), torch.tensor([[0.5001, 0.5, 2e-4, 2e-4]])
    assert float(giou_pairs(ones, others)) == pytest.approx(1 / 3, abs=2e-3)
