"""Runs that predict the photos of a data set without errors, without a model."""

from __future__ import annotations

import shutil
from pathlib import Path

from annotation.dataset import Dataset
from detr.config import RunConfig, TrainConfig, write_run


def run_that_predicts(dataset: Dataset, folder: Path, *splits: str) -> Path:
    """Write a run whose predictions of some splits are copies of the ground truth."""
    write_run(folder, RunConfig(str(dataset.root), TrainConfig(precision="float32")))
    for split in splits:
        out = (folder if split == "test" else folder / split) / "predictions"
        out.mkdir(parents=True)
        shutil.copy(dataset.panoptic / f"annotations/panoptic_{split}.json", out / "panoptic.json")
        shutil.copytree(dataset.panoptic / f"panoptic_{split}", out / "panoptic")
    return folder
