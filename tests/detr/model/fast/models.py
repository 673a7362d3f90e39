"""Small models and photos for tests of `FastDETR`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conversion.coco.categories import Category
from detr.config import TrainConfig
from detr.data.classes import ClassTable, packed_classes
from detr.data.kinds import Kinds
from detr.model.fast.detr import FastDETR
from detr.weights.checkpoint import Checkpoint, checkpoint_path, save_checkpoint
from tests.detr.configs import fast_config

NAMES = ("ball", "sky", "box", "grass", "road")
KINDS = Kinds(things=(0, 2), stuff=(1, 3, 4))
CLASSES = packed_classes(
    [
        Category(index + 1, name, index in KINDS.things, (index * 50, 100, 200))
        for index, name in enumerate(NAMES)
    ]
)


def small_config(**changed: Any) -> TrainConfig:
    """Return the settings of the fast variant with few layers and queries."""
    return fast_config(**{"dec_layers": 2, "dim_feedforward": 128, "num_queries": 24, **changed})


def fast_model(kinds: Kinds = KINDS, **changed: Any) -> FastDETR:
    """Return a model with random weights where the initial ones are zero, as in the box heads."""
    torch.manual_seed(1)
    model = FastDETR(small_config(**changed), kinds, pretrained=True)
    for parameter in model.parameters():
        if parameter.dim() == 2 and not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model.eval()


def photo(height: int, width: int) -> Tensor:
    """Return (3, height, width) noise in the range of normalised photos."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randn(3, height, width, generator=generator)


def save_run(run: Path, model: FastDETR, classes: ClassTable = CLASSES) -> Path:
    """Save a model as the last epoch of a run; return the file."""
    checkpoint = Checkpoint(
        stage="joint",
        epoch=1,
        model=model.state_dict(),
        unaveraged={},
        optimizer={},
        classes=classes,
        config=model.config,
        data_digest="",
        trunk_epoch=1,
        history=[],
    )
    save_checkpoint(checkpoint_path(run, "joint"), checkpoint)
    return checkpoint_path(run, "joint")
