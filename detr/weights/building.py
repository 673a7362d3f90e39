"""Building the model that a checkpoint or a weights file describes."""

from __future__ import annotations

import torch

from detr.config import TrainConfig
from detr.data.classes import ClassTable
from detr.data.kinds import kinds_of
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.weights.checkpoint import Checkpoint
from detr.weights.files import Weights, check_fits, load_strictly
from detr.weights.parts import State

Model = DETR | DETRsegm | FastDETR


def build_model(loaded: Checkpoint | Weights, classes: ClassTable, *, where: str) -> Model:
    """Build the model of a file and load its weights. Raises InputError as `check_model` does."""
    check_model(loaded, classes, where=where)
    model = _new_model(loaded.config, classes, has_masks=_has_masks(loaded))
    load_strictly(model, _state(loaded), where=where)
    return model


def check_model(loaded: Checkpoint | Weights, classes: ClassTable, *, where: str) -> None:
    """Check that a file has exactly the tensors of its model. Raises InputError if it has not.

    This takes no memory, whatever sizes the file asks for.
    """
    with torch.device("meta"):
        model = _new_model(loaded.config, classes, has_masks=_has_masks(loaded))
        check_fits(model, _state(loaded), where=where)


def _has_masks(loaded: Checkpoint | Weights) -> bool:
    return loaded.stage != "boxes" if isinstance(loaded, Checkpoint) else loaded.has_masks


def _state(loaded: Checkpoint | Weights) -> State:
    return loaded.model if isinstance(loaded, Checkpoint) else loaded.state


def _new_model(config: TrainConfig, classes: ClassTable, *, has_masks: bool) -> Model:
    """Build the model of a configuration; its weights are random."""
    if config.variant == "fast":
        return FastDETR(config, kinds_of(classes), pretrained=False)
    detr = DETR(config, len(classes), pretrained=False)
    return DETRsegm(detr, config) if has_masks else detr
