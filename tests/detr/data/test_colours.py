"""Colours are changed as described, and normalised as in the backbone's pretraining."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detr.data.colours import jitter_colours, normalise


def test_a_grey_photo_stays_grey() -> None:
    """Saturation and contrast do not change a uniform grey; brightness does."""
    grey = np.full((4, 6, 3), 100, np.uint8)
    jittered = jitter_colours(grey, np.random.default_rng(0), 0.5)
    assert len(np.unique(jittered)) == 1 and jittered[0, 0, 0] != 100


def test_strength_0_changes_nothing() -> None:
    bgr = np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(jitter_colours(bgr, np.random.default_rng(0), 0.0), bgr)


@pytest.mark.parametrize(
    ("backbone", "black", "white"),
    [
        ("efficientnet_lite0", [-127 / 128] * 3, [1, 1, 1]),
        ("resnet50", [-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.64]),
    ],
)
def test_normalised_colours(backbone: str, black: list[float], white: list[float]) -> None:
    """The first row is black and white, the second row pure blue."""
    bgr = np.array([[[0, 0, 0], [255, 255, 255]], [[255, 0, 0], [255, 0, 0]]], np.uint8)
    rgb = normalise(bgr, backbone)
    assert rgb.shape == (3, 2, 2) and rgb.dtype == torch.float32
    assert rgb[:, 0, 0].tolist() == pytest.approx(black, abs=1e-3)
    assert rgb[:, 0, 1].tolist() == pytest.approx(white, abs=1e-3)
    assert rgb[:, 1, 0].tolist() == pytest.approx([*black[:2], white[2]], abs=1e-3)
