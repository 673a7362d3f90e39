"""Losses, compared with values computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from detr.config import TrainConfig
from detr.data.boxes import giou_pairs
from detr.data.padded import Padded
from detr.data.targets import Target
from detr.losses.criterion import (
    box_losses,
    layer_losses,
    mask_losses,
    prediction_errors,
    stack_masks,
)
from detr.losses.matcher import Match
from detr.model.detr import LayerOutput, Output

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
        Match(torch.tensor(queries, dtype=torch.int64), torch.tensor(segments, dtype=torch.int64))
        for queries, segments in matches
    ]


def losses_of_one_layer(
    output: LayerOutput, targets: list[Target], matches: list[Match]
) -> dict[str, torch.Tensor]:
    losses = layer_losses([output], targets, [matches], CONFIG)
    return {name: value[0] for name, value in losses.items()}


ONE = target([1], [[0.5, 0.5, 0.2, 0.2]], torch.zeros(1, 4, 4))
NONE = target([], [], torch.zeros(0, 4, 4))


def test_no_object_has_the_weight_eos_coef() -> None:
    """The matched query has 3 equal probabilities; the other predicts no-object with 3/4."""
    logits = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, math.log(6)]]])
    layer = LayerOutput(logits, torch.tensor([[[0.5, 0.5, 0.2, 0.2]] * 2]))
    losses = losses_of_one_layer(layer, [ONE], pairs(([0], [0])))
    expected = (LOG3 + 0.1 * math.log(8 / 6)) / (1 + 0.1)
    assert float(losses["loss_ce"]) == pytest.approx(expected, abs=1e-5)
    assert float(losses["loss_bbox"]) == float(losses["loss_giou"]) == 0


def test_box_losses_are_divided_by_the_number_of_segments_in_the_batch() -> None:
    """Two segments, one matched; its centre is off by half its width: L1 0.1, IoU = GIoU = 1/3."""
    two = target([1, 0], [[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]], torch.zeros(2, 4, 4))
    layer = LayerOutput(torch.zeros(1, 1, 3), torch.tensor([[[0.6, 0.5, 0.2, 0.2]]]))
    losses = losses_of_one_layer(layer, [two], pairs(([0], [0])))
    assert float(losses["loss_bbox"]) == pytest.approx(5 * 0.1 / 2, abs=1e-5)
    assert float(losses["loss_giou"]) == pytest.approx(2 * (1 - 1 / 3) / 2, abs=1e-5)


def test_earlier_layers_have_the_same_losses_under_numbered_names() -> None:
    layer = LayerOutput(torch.zeros(1, 2, 3), torch.tensor([[[0.6, 0.5, 0.2, 0.2]] * 2]))
    empty = torch.zeros(1, 2, 8)
    output = Output((layer, layer, layer), empty, empty, Padded(empty, empty), [])
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


def test_photos_without_segments_have_only_no_object_losses() -> None:
    layer = LayerOutput(torch.zeros(1, 2, 3, requires_grad=True), torch.rand(1, 2, 4))
    losses = losses_of_one_layer(layer, [NONE], pairs(([], [])))
    assert float(losses["loss_ce"].detach()) == pytest.approx(LOG3, abs=1e-5)
    assert float(losses["loss_bbox"]) == float(losses["loss_giou"]) == 0
    assert float(prediction_errors(layer, [NONE], pairs(([], [])))["class_error"]) == 0


def test_errors_count_wrong_classes_and_wrong_numbers_of_segments() -> None:
    """Query 0 predicts class 1, correctly, and query 1 class 0; 2 segments predicted, 2 actual."""
    two = target([1, 1], [[0.5] * 4, [0.4] * 4], torch.zeros(2, 4, 4))
    layer = LayerOutput(torch.tensor([[[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]]), torch.rand(1, 3, 4))
    errors = prediction_errors(layer, [two], pairs(([0, 1], [0, 1])))
    assert float(errors["class_error"]) == 50
    assert float(errors["cardinality_error"]) == 0


def test_mask_losses_of_undecided_masks() -> None:
    """All logits are 0; the segment has a quarter of 16 pixels.

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


def test_masks_of_smaller_photos_are_padded_with_zeros() -> None:
    """A segment fills a 2x2 photo, which is a quarter of the batch's padded size of 4x4."""
    full = target([0], [[0.5, 0.5, 1, 1]], torch.ones(1, 2, 2))
    matches = pairs(([0], [0]), ([], []))
    _, losses = mask_losses(torch.zeros(1, 2, 2), stack_masks([full, NONE], matches), 1, CONFIG)
    assert float(losses["loss_dice"]) == pytest.approx(1 - 5 / 13, abs=1e-6)


def test_mask_losses_without_segments_are_zero_and_have_a_gradient() -> None:
    logits = torch.zeros(0, 2, 2, requires_grad=True)
    both, losses = mask_losses(logits, stack_masks([NONE], pairs(([], []))), 1, CONFIG)
    assert float(losses["loss_mask"]) == float(losses["loss_dice"]) == 0
    torch.autograd.backward(both)
    assert logits.grad is not None


def test_boxes_without_area_have_a_loss_and_a_gradient() -> None:
    """Two identical points: the GIoU is 0, not 0 / 0."""
    points = torch.tensor([[0.5, 0.5, 0.0, 0.0]], requires_grad=True)
    loss = 1 - giou_pairs(points, points.detach().clone())
    torch.autograd.backward(loss.sum())
    assert float(loss.detach()) == 1
    assert points.grad is not None and points.grad.isfinite().all()


def test_giou_of_tiny_boxes_is_exact() -> None:
    """The boxes are shifted by half their width, so their overlap is a third of their union."""
    first, second = (
        torch.tensor([[0.5, 0.5, 2e-4, 2e-4]]),
        torch.tensor([[0.5001, 0.5, 2e-4, 2e-4]]),
    )
    assert float(giou_pairs(first, second)) == pytest.approx(1 / 3, abs=2e-3)
