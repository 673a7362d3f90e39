"""The model that predicts: a run's own or a published one, and which of its findings count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from base.errors import InputError
from detr.config import TrainConfig
from detr.data.classes import ClassTable, published_classes
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.prediction.postprocess import Choice
from detr.weights.checkpoint import load_checkpoint, masks_path
from detr.weights.files import load_strictly, read_torch, read_weights
from detr.weights.published import find_weights


@dataclass(frozen=True)
class Thresholds:
    """Least scores: of a segment (None: the run's own) and of an instance in COCO's results."""

    segment: float | None = None
    instance: float = 0.05

    def __post_init__(self) -> None:
        for name, value in (("threshold", self.segment), ("instance-threshold", self.instance)):
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"--{name}: expected 0 to 1, got {value}")


@dataclass(frozen=True)
class Predictor:
    """A trained model, what its outputs mean, and which of them count."""

    model: DETRsegm
    classes: ClassTable
    config: TrainConfig
    device: torch.device
    thresholds: Thresholds

    @property
    def threshold(self) -> float:
        """Least score of a segment."""
        own = self.thresholds.segment
        return self.config.threshold if own is None else own

    def is_segment(self, choice: Choice) -> bool:
        """Whether it is painted."""
        return choice.decided and choice.score > self.threshold

    def is_instance(self, choice: Choice) -> bool:
        """Whether it is among COCO's results."""
        return choice.category.isthing and choice.score > self.thresholds.instance


def find_model(source: str | Path) -> Path:
    """The masks checkpoint of a run's folder, or the file of published weights."""
    path = Path(source)
    if not path.is_dir():
        return find_weights(source)
    path = masks_path(path)
    if not path.exists():
        raise InputError(f"{path}: missing; train the stage masks of this run first")
    return path


def load_predictor(path: Path, thresholds: Thresholds) -> Predictor:
    """The predictor of a checkpoint of this project or of a file of published weights."""
    model, classes, config = load_model(path)
    if not isinstance(model, DETRsegm):
        raise InputError(f"{path}: has no mask head; published ones with it end in -panoptic")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Predictor(model.to(device).requires_grad_(False), classes, config, device, thresholds)


def load_model(path: Path) -> tuple[DETR | DETRsegm, ClassTable, TrainConfig]:
    """A model in eval mode, what its outputs mean, and its configuration."""
    if "stage" in read_torch(path):
        own = load_checkpoint(path)
        has_masks, state = own.stage != "boxes", own.model
        config, classes = own.config, own.classes
    else:
        found = read_weights(path)
        has_masks, state = found.has_masks, found.state
        config, classes = found.config, published_classes(found.num_classes)
    model: DETR | DETRsegm = DETR(config, len(classes), pretrained=False)
    if isinstance(model, DETR) and has_masks:
        model = DETRsegm(model, config)
    load_strictly(model, state, where=str(path))
    return model.eval(), classes, config
