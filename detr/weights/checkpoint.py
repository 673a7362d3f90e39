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
from detr.config import TrainConfig, read_run
from detr.data.classes import ClassTable
from detr.weights.files import State, Weights, find_model, read_torch
from detr.weights.thresholds import SegmentThresholds


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
    # chosen on held-out photos at the end of training; None: the configured one
    thresholds: SegmentThresholds | None = None


def checkpoint_path(run: Path, stage: str) -> Path:
    """Return the path of the checkpoint of a stage's last epoch."""
    return run / "checkpoints" / f"{stage}.pt"


def masks_path(run: Path) -> Path:
    """Return the path of the checkpoint with which a run predicts: of the masks or joint stage.

    It is that of the best epoch if the run holds out training photos (`tune`) and has scored them,
    and otherwise of the last epoch: if epochs are selected by their scores on the test photos, the
    score of the best one is too optimistic.
    """
    paths = [checkpoint_path(run, stage) for stage in ("masks", "joint")]
    last = next((path for path in paths if path.exists()), paths[0])
    best = best_path(last)
    tuned = best.exists() and (run / "config.yaml").is_file() and read_run(run).train.tune > 0
    return best if tuned else last


def best_path(last: Path) -> Path:
    """Return the path of a stage's best checkpoint, given that of its last one."""
    return last.with_stem(f"{last.stem}-best")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, and flush it to disk."""
    values = {
        **vars(checkpoint),
        "classes": list(checkpoint.classes.category_ids),
        "categories": category_values(checkpoint.classes.categories),
        "config": msgspec.to_builtins(checkpoint.config),
        "thresholds": msgspec.to_builtins(checkpoint.thresholds),
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
        found = values.pop("thresholds", None)  # earlier versions had none
        thresholds = None if found is None else parse(SegmentThresholds, found, where=str(path))
        return Checkpoint(**values, classes=classes, config=config, thresholds=thresholds)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a checkpoint of this project: {error}") from None
