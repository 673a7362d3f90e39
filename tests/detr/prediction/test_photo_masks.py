"""Masks of a photo's size follow the edges of the photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detr.prediction.photo_masks import PhotoMasks

INPUT = (64, 96)


def logits(rows: slice, columns: slice) -> torch.Tensor:
    mask = torch.full((16, 24), -8.0)
    mask[rows, columns] = 8
    return mask


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_outlines_move_to_the_edges_of_the_photo(scale: int) -> None:
    """Masks have steps of 4 pixels of the input; the object ends one pixel beyond one of them."""
    size = (64 * scale, 96 * scale)
    wanted = np.zeros(size, bool)
    wanted[17 * scale : 41 * scale, 29 * scale : 65 * scale] = True
    flat = np.full((*size, 3), 90, np.uint8)
    drawn = np.where(wanted[..., None], np.uint8([30, 200, 90]), flat)
    overlaps = []
    for pixels in (flat, drawn):
        masks = PhotoMasks(pixels, input_size=INPUT, size=size)
        found = masks.probability(logits(slice(4, 10), slice(7, 16))).numpy() > 0.5
        overlaps.append((found & wanted).sum() / (found | wanted).sum())
    assert overlaps[0] < 0.89 and overlaps[1] > 0.97


def test_a_mask_of_a_photo_of_one_color_stays_where_it_is() -> None:
    masks = PhotoMasks(np.full((64, 96, 3), 7, np.uint8), input_size=INPUT, size=INPUT)
    rows, columns = np.nonzero(masks.probability(logits(slice(4, 10), slice(7, 16))).numpy() > 0.5)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (16, 40, 28, 64)


def test_masks_may_be_smaller_than_the_photo_empty_or_full() -> None:
    rng = np.random.default_rng(0)
    masks = PhotoMasks(
        rng.integers(0, 256, (90, 130, 3), np.uint8), input_size=INPUT, size=(31, 45)
    )
    assert not masks.probability(torch.full((16, 24), -9.0)).any()
    full = masks.probability(torch.full((16, 24), 9.0))
    assert full.shape == (31, 45) and full.min() > 0.99


def test_a_photo_of_one_pixel() -> None:
    masks = PhotoMasks(np.zeros((1, 1, 3), np.uint8), input_size=(32, 32), size=(1, 1))
    assert masks.probability(torch.full((8, 8), 9.0)).item() > 0.99
