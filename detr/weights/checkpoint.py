"""Checkpoints: everything needed to continue training or to predict, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from base.errors import InputError
from base.parsing import parse
from conversion.coco.categories import Category, category_values
from detr.config import TrainConfig, read_run
from detr.data.classes import ClassTable
from detr.weights.files import Weights, find_model, read_torch
from detr.weights.parts import (
    TENSORS,
    Header,
    State,
    check_history,
    check_optimizer,
    check_tensors,
)
from detr.weights.saving import save_torch
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

    It is that of the best epoch if the run has scored photos of the split `val`, or training photos
    that it holds out (`tune`), and otherwise of the last epoch: if epochs are selected by their
    scores on the test photos, the score of the best one is too optimistic.
    """
    paths = [checkpoint_path(run, stage) for stage in ("masks", "joint")]
    last = next((path for path in paths if path.exists()), paths[0])
    best = best_path(last)
    return best if best.exists() and _scores_held_out_photos(run, best) else last


def _scores_held_out_photos(run: Path, best: Path) -> bool:
    """Return whether the scored photos are not the test photos."""
    if (run / "config.yaml").is_file() and read_run(run).train.tune > 0:
        return True
    # a set with a split `val`; not from the log, which a kill may have left incomplete
    return any(line.get("tune") for line in load_history(best))


def best_path(last: Path) -> Path:
    """Return the path of a stage's best checkpoint, given that of its last one."""
    return last.with_stem(f"{last.stem}-best")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint completely or not at all; when this returns, it survives a power cut.

    Raises OSError, with the path, if it cannot be written.
    """
    values = {
        **vars(checkpoint),
        "classes": list(checkpoint.classes.category_ids),
        "categories": category_values(checkpoint.classes.categories),
        "config": msgspec.to_builtins(checkpoint.config),
        "thresholds": msgspec.to_builtins(checkpoint.thresholds),
    }
    save_torch(path, values, durable=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint to the CPU, without running any code in the file.

    Raises InputError if it is not a checkpoint of this project.
    """
    return _parse(read_torch(path), path)


def load_history(path: Path) -> list[State]:
    """Return the lines of the log that a checkpoint holds, without reading its tensors.

    Raises InputError as `load_checkpoint` does.
    """
    return _parse(read_torch(path, lazily=True), path).history


def load_any(path: Path) -> Checkpoint | Weights:
    """Read a checkpoint of this project or a file of published weights.

    Raises InputError if it is neither.
    """
    values = read_torch(path)
    return _parse(values, path) if "stage" in values else find_model(values, path)


def _parse(values: State, path: Path) -> Checkpoint:
    """Check every part of a checkpoint. Raises InputError if one is missing or of another kind."""
    where, size = str(path), path.stat().st_size
    if missing := [name for name in TENSORS if name not in values]:
        raise InputError(
            f"{where}: is not a checkpoint of this project: expected the key '{missing[0]}', found"
            " none"
        )
    header = parse(Header, {n: v for n, v in values.items() if n not in TENSORS}, where=where)
    check_history(header.history, where=where)
    for name in ("model", "unaveraged"):
        check_tensors(values[name], where=f"{where}: {name}", most_bytes=size)
    check_optimizer(values["optimizer"], where=f"{where}: optimizer", most_bytes=size)
    categories = tuple(Category(c.id, c.name, bool(c.isthing), c.color) for c in header.categories)
    return Checkpoint(
        stage=header.stage,
        epoch=header.epoch,
        classes=ClassTable(categories, header.classes),
        config=header.config,
        data_digest=header.data_digest,
        trunk_epoch=header.trunk_epoch,
        history=header.history,
        thresholds=header.thresholds,
        **{name: values[name] for name in TENSORS},
    )
