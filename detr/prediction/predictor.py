"""Loading a model for prediction, and the thresholds of its detections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from base.errors import InputError
from detr.config import TrainConfig
from detr.data.classes import ClassTable, published_classes
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.prediction.thresholds import Thresholds
from detr.weights.building import build_model
from detr.weights.checkpoint import Checkpoint, load_any, masks_path
from detr.weights.files import Weights
from detr.weights.published import find_weights
from detr.weights.thresholds import SegmentThresholds, same_threshold


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, the classes of its outputs, and its configuration.

    `thresholds` are those chosen in training, if any.
    """

    model: DETR | DETRsegm | FastDETR
    classes: ClassTable
    config: TrainConfig
    thresholds: SegmentThresholds | None = None


@dataclass(frozen=True)
class Predictor:
    """A trained model that predicts masks, the classes of its outputs, and its thresholds."""

    model: DETRsegm | FastDETR
    classes: ClassTable
    config: TrainConfig
    device: torch.device
    thresholds: SegmentThresholds
    min_instance_score: float


def find_model_file(source: str | Path) -> Path:
    """Return the checkpoint with masks in a run's folder, or the file of published weights.

    Raises InputError if there is none.
    """
    path = Path(source)
    if not path.is_dir():
        return find_weights(source)
    path = masks_path(path)
    if not path.exists():
        raise InputError(f"{path}: missing; train the masks stage of this run first")
    return path


def load_predictor(path: Path, thresholds: Thresholds) -> Predictor:
    """Load a checkpoint of this project or a file of published weights.

    Raises InputError if it is neither, or has no mask head.
    """
    return _predictor(load_model(path), thresholds, where=path)


def checkpoint_predictor(checkpoint: Checkpoint, thresholds: Thresholds) -> Predictor:
    """Make a predictor from a checkpoint in memory. Raises InputError if it has no mask head."""
    where = Path(f"{checkpoint.stage}.pt")
    return _predictor(_build(checkpoint, where), thresholds, where=where)


def load_model(path: Path) -> LoadedModel:
    """Load the model of a checkpoint of this project or of a file of published weights.

    Raises InputError if it is neither.
    """
    return _build(load_any(path), path)


def _build(loaded: Checkpoint | Weights, where: Path) -> LoadedModel:
    if isinstance(loaded, Checkpoint):
        classes, thresholds = loaded.classes, loaded.thresholds
    else:
        classes, thresholds = published_classes(loaded.num_classes), None
    model = build_model(loaded, classes, where=str(where))
    return LoadedModel(model.eval(), classes, loaded.config, thresholds)


def _predictor(loaded: LoadedModel, thresholds: Thresholds, *, where: Path) -> Predictor:
    model = loaded.model
    if isinstance(model, DETR):
        raise InputError(
            f"{where}: has no mask head; published weights with a mask head are named ...-panoptic"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device).requires_grad_(False)
    segments = loaded.thresholds
    if segments is None or thresholds.segment is not None:
        given = thresholds.segment
        own = loaded.config.threshold if given is None else given
        segments = same_threshold(loaded.config, own)
    return Predictor(model, loaded.classes, loaded.config, device, segments, thresholds.instance)
