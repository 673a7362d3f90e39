"""A briefly trained run and photos that its model predicts."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from detr.config import RunConfig
from detr.training.train import train
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CACHED, run_config


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set in `panoptic/`, and a briefly trained run in `run/`."""
    root = tmp_path_factory.mktemp("predict")
    draw_set(root / "panoptic", train=8)
    train(root / "panoptic", root / "run", config(), "both")
    return root


def config() -> RunConfig:
    return run_config(CACHED, epochs=12, mask_epochs=2, lr=1e-3, pre_norm=True, threshold=0.25)


@pytest.fixture
def photos(folder: Path, tmp_path: Path) -> Path:
    """Photos of two sizes in nested folders; two have the same stem."""
    images = tmp_path / "photos"
    shutil.copytree(folder / "panoptic" / "test", images / "yard" / "east")
    shutil.copy(images / "yard/east/photo1.png", images / "a.b.png")
    small = cv2.imread(str(images / "a.b.png"))[:40]
    cv2.imwrite(str(images / "a.b.jpg"), small)
    return images
