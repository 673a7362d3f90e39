"""AdamW, its rates, and its state by the weights' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detr.config import TrainConfig

State = dict[str, dict[str, Tensor]]  # by name of the weight


def build_optimizer(model: nn.Module, config: TrainConfig, *, lr: float) -> torch.optim.AdamW:
    """AdamW over what is trained, with a rate of its own for the backbone."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    parts = {False: lr, True: config.lr_backbone}
    groups: list[dict[str, Any]] = []
    for in_backbone, rate in parts.items():
        named = [(n, p) for n, p in trained if ("backbone.0." in n) == in_backbone]
        if named:
            groups.append({"params": [p for _, p in named], "lr": rate, "full_lr": rate})
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=_fuses(trained))


def _fuses(trained: list[tuple[str, nn.Parameter]]) -> bool:
    """Whether one kernel can do the whole step: half of the time on the CPU, less on a GPU."""
    kinds = {p.device.type for _, p in trained}
    return kinds <= {"cpu", "cuda"} and all(p.is_floating_point() for _, p in trained)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Bring all rates to a share of what the configuration says."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The rates as the log names them."""
    values = [float(group["lr"]) for group in optimizer.param_groups]
    return dict(zip(("lr", "lr_backbone"), values, strict=False))


def state_by_name(optimizer: torch.optim.Optimizer, model: nn.Module) -> State:
    """What the optimiser knows of each weight: a number a weight would lose its meaning.

    As soon as more is frozen or a head is changed, the third weight is another one.
    """
    names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
    return {names[p]: {k: v.clone() for k, v in s.items()} for p, s in optimizer.state.items()}


def load_state_by_name(
    optimizer: torch.optim.Optimizer, model: nn.Module, state: Mapping[str, dict[str, Tensor]]
) -> None:
    """Go on with the state of those weights that are trained as before; the others start anew."""
    for name, parameter in model.named_parameters():
        known = state.get(name)
        if parameter.requires_grad and known and known["exp_avg"].shape == parameter.shape:
            place = parameter.device
            optimizer.state[parameter] = {k: v.to(place, copy=True) for k, v in known.items()}
