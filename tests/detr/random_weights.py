"""A small configuration, and weights files like those of DETR's authors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from detr.config import TrainConfig
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm

SMALL = TrainConfig(
    backbone="resnet18",
    hidden_dim=128,
    enc_layers=1,
    dec_layers=2,
    dim_feedforward=32,
    num_queries=4,
    precision="float32",
)


def save(path: Path, config: TrainConfig, classes: int, *, masks: bool, **extra: Any) -> Path:
    """Save random weights like DETR's authors do: under "model", with batch norm's counters."""
    model: DETR | DETRsegm = DETR(config, classes, pretrained=False)
    if masks:
        model = DETRsegm(model, config)
    state = {name: torch.randn_like(value) * 0.01 for name, value in model.state_dict().items()}
    state = {n: v.abs() if n.endswith("running_var") else v for n, v in state.items()}
    prefix = "detr." if masks else ""
    state[f"{prefix}backbone.0.body.bn1.num_batches_tracked"] = torch.tensor(7)
    torch.save({"model": state, **extra}, path)
    return path
