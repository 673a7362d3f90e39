"""Checkpoints: everything that training goes on from and prediction starts from, in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from base.errors import InputError
from base.files import replacing
from base.parsing import parse
from conversion.coco.categories import Category
from conversion.coco.panoptic import category_values
from detr.config import TrainConfig
from detr.data.classes import ClassTable
from detr.weights.files import State, read_torch
from detr.weights.published import load_published as load_published


@dataclass(frozen=True)
class Checkpoint:
    """The end of one epoch of one stage; `history` holds the stage's lines of `log.jsonl`.

    `model` is what is tested and predicts. Where that is an average, training goes on from the
    weights `unaveraged`.
    """

    stage: str
    epoch: int
    model: State
    unaveraged: State
    optimizer: State  # by the weights' names
    classes: ClassTable
    config: TrainConfig
    data_digest: str
    trunk_epoch: int  # of the boxes stage, which the masks stage builds on
    history: list[State]


def checkpoint_path(run: Path, stage: str) -> Path:
    """Where a run keeps the last epoch of a stage."""
    return run / "checkpoints" / f"{stage}.pt"


def masks_path(run: Path) -> Path:
    """The last epoch that predicts masks: of the stage masks, or of joint.

    Not the best one: it was chosen by the test photos, and its score owes something to the choice.
    """
    paths = [checkpoint_path(run, stage) for stage in ("masks", "joint")]
    return next((path for path in paths if path.exists()), paths[0])


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all, through the system's cache to the disk."""
    plain = {
        **vars(checkpoint),
        "classes": list(checkpoint.classes.category_ids),
        "categories": category_values(checkpoint.classes.categories),
        "config": msgspec.to_builtins(checkpoint.config),
    }
    with replacing(path) as temporary:
        torch.save(plain, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint to the CPU; the file can hold numbers and words only, no code."""
    plain = read_torch(path)
    try:
        categories = tuple(
            Category(c["id"], c["name"], bool(c["isthing"]), tuple(c["color"]))
            for c in plain.pop("categories")
        )
        classes = ClassTable(categories, tuple(plain.pop("classes")))
        config = parse(TrainConfig, plain.pop("config"), where=str(path))
        return Checkpoint(**plain, classes=classes, config=config)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is no checkpoint of this project: {error}") from None


def move_state(state: State, device: torch.device) -> State:
    """A state dict with its tensors on another device."""
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in state.items()}
