"""The picture of the attention maps and of the mask after each step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from base.errors import InputError
from benchmarks.attention import BAND, CELL, STEPS, draw_steps, find_steps
from detr.prediction.predictor import load_model
from tests.detr.random_weights import SMALL, save


def test_a_row_per_query_with_all_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    loaded = load_model(save(tmp_path / "w.pth", SMALL, 250, masks=True))
    loaded.model.get_submodule("detr.class_embed").bias.data[3] = 9.0  # every query finds a car
    photo = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    rows = find_steps(loaded, photo, rows=3)
    assert [row.detection.category.name for row in rows] == ["car"] * 3
    for row in rows:
        assert row.maps.shape[0] == SMALL.nheads and len(row.features) == len(STEPS)
        assert float(row.maps.sum()) == pytest.approx(1, abs=1e-4)  # one softmax over all heads
    cells = 1 + SMALL.nheads + len(STEPS) + 1
    assert draw_steps(photo, rows).shape == (BAND + 3 * (CELL[1] + 2), cells * (CELL[0] + 2), 3)


def test_models_without_masks_are_refused(tmp_path: Path) -> None:
    loaded = load_model(save(tmp_path / "w.pth", SMALL, 91, masks=False))
    with pytest.raises(InputError, match="expected a run of `variant: detr` with masks"):
        find_steps(loaded, np.zeros((64, 64, 3), np.uint8), rows=1)
