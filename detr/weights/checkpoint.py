"""Checkpoints: everything needed to continue training or to predict, in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from base.errors import InputError
from base.files import replacing
from base.parsing import parse
from conversion.coco.categories import Category, category_values
from detr.config import TrainConfig
from detr.data.classes import ClassTable
from detr.weights.files import State, Weights, find_model, read_torch


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch of a stage; `history` holds the stage's lines of `log.jsonl`.

    `model` is used for testing and prediction. If it is a moving average, training continues from
    the weights in `unaveraged`.
    """

    stage: str
    epoch: int
    model: State
    unaveraged: State
    optimizer: State  # by parameter name
    classes: ClassTable
    config: TrainConfig
    data_digest: str
    trunk_epoch: int  # epoch of the boxes stage that the masks stage is based on
    history: list[State]


def checkpoint_path(run: Path, stage: str) -> Path:
    """Return the path of the checkpoint of a stage's last epoch."""
    return run / "checkpoints" / f"{stage}.pt"


def masks_path(run: Path) -> Path:
    """Return the path of the last checkpoint that predicts masks: of the masks or joint stage.

    The best epoch is not used, because it is selected by its score on the test photos, which makes
    that score too optimistic.
    """
    paths = [checkpoint_path(run, stage) for stage in ("masks", "joint")]
    return next((path for path in paths if path.exists()), paths[0])


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, and flush it to disk."""
    values = {
        **vars(checkpoint),
        "classes": list(checkpoint.classes.category_ids),
        "categories": category_values(checkpoint.classes.categories),
        "config": msgspec.to_builtins(checkpoint.config),
    }
    with replacing(path) as temporary:
        torch.save(values, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint to the CPU, without running any code in the file.

    Raises InputError if it is not a checkpoint of this project.
    """
    return _parse(read_torch(path), path)


def load_any(path: Path) -> Checkpoint | Weights:
    """Read a checkpoint of this project or a file of published weights.

    Raises InputError if it is neither.
    """
    values = read_torch(path)
    return _parse(values, path) if "stage" in values else find_model(values, path)


def _parse(values: dict[str, Any], path: Path) -> Checkpoint:
    try:
        categories = tuple(
            Category(c["id"], c["name"], bool(c["isthing"]), tuple(c["color"]))
            for c in values.pop("categories")
        )
        classes = ClassTable(categories, tuple(values.pop("classes")))
        config = parse(TrainConfig, values.pop("config"), where=str(path))
        return Checkpoint(**values, classes=classes, config=config)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a checkpoint of this project: {error}") from None
