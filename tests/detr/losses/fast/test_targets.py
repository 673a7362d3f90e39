"""Targets: shares at each stride, unknown pixels, and the normalisers of the losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detr.losses.fast.targets import count_targets
from tests.detr.losses.fast.scenes import BALL, BOX, GRASS, SKY, meadow, prepared, segment_map


def test_things_come_first_and_are_indexed_by_kind() -> None:
    """The map has sky, grass, ball, box: things 0 (ball) and 1 (box), stuff 0 and 1."""
    (target,) = prepared(meadow())
    assert target.things.tolist() == [0, 1]
    assert target.stuff.tolist() == [0, 1]
    assert target.cxcywh_norm[0].tolist() == pytest.approx([16 / 96, 30 / 64, 16 / 96, 20 / 64])
    assert target.presence.tolist() == [1, 1, 0]
    assert target.presence_weight.tolist() == [1, 1, 1]


def test_shares_are_those_of_the_pixels() -> None:
    (target,) = prepared(meadow())
    for stride in (2, 4, 8):
        shares = target.at[stride]
        assert shares.masks.shape == (4, 64 // stride, 96 // stride)
        areas = (shares.masks.sum((1, 2)) * stride**2).tolist()
        assert areas == pytest.approx([320, 480, 3072 - 192 - 48, 3072 - 128 - 432])
        assert torch.allclose(shares.known, torch.ones_like(shares.known))
        assert not shares.void.any()
    # rows 16 to 23 of columns 8 to 15: the ball begins at row 20
    assert float(target.at[8].masks[0, 2, 1]) == 0.5


def test_void_and_pixels_outside_the_photo_are_unknown() -> None:
    """40x50 pixels, the last 10 columns void: on the 64x64 canvas, 40x40 pixels are known."""
    indices = np.ones((40, 50), int)
    indices[:, 40:] = 0
    (target,) = prepared(segment_map(indices, [GRASS]))
    for stride in (2, 4, 8):
        known, void = (
            x.sum() * stride**2 for x in (target.at[stride].known, target.at[stride].void)
        )
        assert (float(known), float(void)) == (1600, 400)
    assert target.has_void
    assert target.presence_weight.tolist() == pytest.approx([0.8, 1, 0.8])


def test_slivers_are_unknown() -> None:
    """Fewer than 16 pixels of a ball and of sky are visible."""
    indices = np.ones((32, 32), int)
    indices[:5, :3], indices[31, :15] = 2, 3
    (target,) = prepared(segment_map(indices, [GRASS, BALL, SKY]))
    assert target.things.tolist() == [] and target.stuff.tolist() == [1]
    assert float(target.at[2].void.sum()) * 4 == 30
    assert target.presence_weight.tolist() == pytest.approx([0, 1, 994 / 1024])


def test_segments_of_one_stuff_category_share_a_mask() -> None:
    indices = np.repeat([1, 2, 3, 1], 8)[None].repeat(32, 0)
    (target,) = prepared(segment_map(indices, [GRASS, BOX, GRASS]))
    assert target.stuff.tolist() == [1]
    assert (target.at[8].masks[1] * 64).sum().item() == 3 * 8 * 32


def test_counts_add_up() -> None:
    """Two things, four segments, three weights, 64 * 96 / 16 stride-4 pixels; then with void."""
    one, other = prepared(meadow(), meadow(void=32))
    assert count_targets([one]).tolist() == [2, 4, 3, 384]
    assert torch.equal(count_targets([one, other]), count_targets([one]) + count_targets([other]))
    assert count_targets([other])[3] == 256
    assert count_targets([]).tolist() == [0, 0, 0, 0]
