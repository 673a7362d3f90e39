"""Masks are dot products, lowered outside their boxes."""

from __future__ import annotations

import math

import torch

from detr.model.fast.masks import mask_logits

WHOLE = torch.tensor([[0.5, 0.5, 1.0, 1.0]])


def test_a_mask_is_the_product_of_embeddings_plus_a_bias() -> None:
    """Embedding (1, 2) and bias 3 with pixels (4, 5): (1 * 4 + 2 * 5) / sqrt(2) + 3."""
    pixels = torch.tensor([4.0, 5.0])[:, None, None].expand(2, 2, 3)
    logits = mask_logits(torch.tensor([[1.0, 2.0, 3.0]]), pixels, cxcywh_norm=WHOLE, size=(8, 12))
    assert torch.allclose(logits, torch.full((1, 2, 3), 14 / math.sqrt(2) + 3))


def test_a_mask_is_lowered_outside_its_box() -> None:
    """A box from 12 to 20 pixels of 40, with a margin of a tenth and one stride-4 pixel."""
    box = torch.tensor([[16 / 40, 0.5, 8 / 40, 1.0]], requires_grad=True)
    logits = mask_logits(torch.zeros(1, 3), torch.zeros(2, 1, 10), cxcywh_norm=box, size=(4, 40))
    # centres are at 2, 6, 10, ... pixels; no penalty within 16 +- (4.4 + 4)
    expected = [-2 * max(0, abs(2 + 4 * i - 16) - 8.4) / 4 for i in range(10)]
    assert torch.allclose(logits[0, 0], torch.tensor(expected).clamp(min=-10))
    assert not logits.requires_grad


def test_coarser_masks_are_lowered_at_the_same_pixels() -> None:
    box = torch.tensor([[0.25, 0.25, 0.2, 0.2]])
    fine = mask_logits(torch.zeros(1, 3), torch.zeros(2, 32, 32), cxcywh_norm=box, size=(128, 128))
    coarse = mask_logits(
        torch.zeros(1, 3), torch.zeros(2, 16, 16), cxcywh_norm=box, size=(128, 128), stride=8
    )
    averages = torch.nn.functional.avg_pool2d(fine, 2)
    assert (coarse - averages).abs().max() < 1.5  # less than the penalty of one stride-4 pixel
