"""What both sides of `benchmarks.detr_steps` share: configurations, targets, a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from base.parsing import write_json
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import write_panoptic
from detr.config import TrainConfig
from detr.data.targets import Target
from detr.training.clock import Clock

CLASSES, OBJECTS, BATCH = 91, 7, 2
FULL = TrainConfig()
SMALL = replace(FULL, backbone="resnet18", enc_layers=3, dec_layers=3, hidden_dim=128)
CPU = torch.device("cpu")
CLOCK = Clock(CPU)
MATCHING = "matching and losses"  # part of forward


def make_targets(size: int) -> list[Target]:
    """Make targets with random boxes and masks that fill them."""
    generator = torch.Generator().manual_seed(0)
    targets = []
    for index in range(BATCH):
        centres = torch.rand(OBJECTS, 2, generator=generator) * 0.5 + 0.25
        sides = torch.rand(OBJECTS, 2, generator=generator) * 0.3 + 0.1
        boxes = torch.cat([centres, sides], dim=1)
        place = (torch.arange(size) + 0.5) / size
        across = (place - boxes[:, 0, None]).abs() < boxes[:, 2, None] / 2  # (7, W)
        down = (place - boxes[:, 1, None]).abs() < boxes[:, 3, None] / 2
        labels = torch.randint(0, CLASSES, (OBJECTS,), generator=generator)
        masks = down[:, :, None] & across[:, None]
        targets.append(Target(index, f"{index}.jpg", (size, size), labels, boxes, masks))
    return targets


def training_step(
    model: nn.Module, loss: Callable[[], Tensor], *, fused: bool
) -> Callable[[], None]:
    """Build a whole training step that minimises `loss`: forward, backward, clipping, AdamW."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=1e-4, fused=fused)

    def step() -> None:
        optimizer.zero_grad()
        with CLOCK("forward"):
            total = loss()
        with CLOCK("backward"):
            torch.autograd.backward(total)
        with CLOCK("clipping and optimiser"):
            nn.utils.clip_grad_norm_(trained, 0.1)
            optimizer.step()

    return step


def write_data_set(folder: Path, size: int) -> Path:
    """Write a panoptic data set with the targets of `make_targets` in both splits."""
    from tests.detr.drawn import CATEGORIES, write_photo

    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "test"):
        pngs, drawn = folder / f"panoptic_{split}", []
        for target in make_targets(size):
            numbers = torch.arange(1, OBJECTS + 1)[:, None, None]
            ids = (target.masks * numbers).amax(0).numpy().astype(np.uint32)
            kinds = {n: CATEGORIES[n % len(CATEGORIES)].id for n in range(1, OBJECTS + 1)}
            kinds = {n: kind for n, kind in kinds.items() if (ids == n).any()}
            drawn.append(write_photo(folder / split, pngs, target.image_id + 1, ids, kinds))
        path = folder / "annotations" / f"panoptic_{split}.json"
        write_panoptic(PanopticSet(path, pngs, CATEGORIES, tuple(drawn)))
    write_json(folder / "manifest.json", {})
    return folder
