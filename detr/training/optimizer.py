"""AdamW, its learning rates, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detr.config import TrainConfig

State = dict[str, dict[str, Tensor]]  # by name of the parameter


def build_optimizer(model: nn.Module, config: TrainConfig, *, lr: float) -> torch.optim.AdamW:
    """Build AdamW for all trained parameters; the backbone has its own learning rate."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    rates = {False: lr, True: config.lr_backbone}
    groups: list[dict[str, Any]] = []
    for in_backbone, rate in rates.items():
        named = [(n, p) for n, p in trained if ("backbone.0." in n) == in_backbone]
        if named:
            groups.append({"params": [p for _, p in named], "lr": rate, "full_lr": rate})
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=_can_fuse(trained))


def _can_fuse(trained: list[tuple[str, nn.Parameter]]) -> bool:
    """Whether torch has a fused kernel for the step; on a CPU it takes half the time."""
    devices = {p.device.type for _, p in trained}
    return devices <= {"cpu", "cuda"} and all(p.is_floating_point() for _, p in trained)


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set all learning rates to their configured values times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the current learning rates by their names in the log."""
    values = [float(group["lr"]) for group in optimizer.param_groups]
    return dict(zip(("lr", "lr_backbone"), values, strict=False))


def state_by_name(optimizer: torch.optim.Optimizer, model: nn.Module) -> State:
    """Return the optimiser's state by parameter name.

    torch numbers parameters instead, and a number refers to another parameter as soon as more of
    the model is frozen or a head is replaced.
    """
    names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
    return {names[p]: {k: v.clone() for k, v in s.items()} for p, s in optimizer.state.items()}


def load_state_by_name(
    optimizer: torch.optim.Optimizer, model: nn.Module, state: Mapping[str, dict[str, Tensor]]
) -> None:
    """Restore the state of every trained parameter that `state` has with the same shape.

    Other parameters keep an empty state.
    """
    for name, parameter in model.named_parameters():
        saved = state.get(name)
        if parameter.requires_grad and saved and saved["exp_avg"].shape == parameter.shape:
            device = parameter.device
            optimizer.state[parameter] = {k: v.to(device, copy=True) for k, v in saved.items()}
