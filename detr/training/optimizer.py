"""The optimiser, its learning rates, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from detr.config import TrainConfig
from detr.training.muon import MuonAdamW, is_hidden_matrix

State = dict[str, dict[str, Tensor]]  # by parameter name


def build_optimizer(model: nn.Module, config: TrainConfig, *, lr: float) -> MuonAdamW:
    """Build the optimiser of all trained parameters; the backbone has its own learning rate.

    It is AdamW, and Muon for the hidden matrices if `lr_muon` is set. In `variant: fast`, biases
    and norm weights have no weight decay.
    """
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    rates = {"lr": lr, "lr_backbone": config.lr_backbone, "lr_muon": config.lr_muon}
    members: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in trained:
        rate = "lr_backbone" if "backbone.0." in name else "lr"
        if config.lr_muon and is_hidden_matrix(name, parameter):
            rate = "lr_muon"
        decays = config.variant != "fast" or parameter.dim() > 1
        members.setdefault((rate, decays), []).append(parameter)
    groups = [
        {
            "params": parameters,
            "rate_name": rate,
            "lr": rates[rate],
            "full_lr": rates[rate],
            "weight_decay": config.weight_decay if decays else 0.0,
            "muon": rate == "lr_muon",
        }
        for (rate, decays), parameters in members.items()
    ]
    return MuonAdamW(groups, fused=_can_fuse(trained))


def _can_fuse(trained: list[tuple[str, nn.Parameter]]) -> bool:
    """Return whether torch has a fused kernel for the step; on a CPU, it takes half the time."""
    devices = {p.device.type for _, p in trained}
    return devices <= {"cpu", "cuda"} and all(p.is_floating_point() for _, p in trained)


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set all learning rates to their configured values times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the current learning rates by their names in the log."""
    rates = {group["rate_name"]: float(group["lr"]) for group in optimizer.param_groups}
    return dict(sorted(rates.items()))  # in the same order in every log


def state_by_name(optimizer: torch.optim.Optimizer, model: nn.Module) -> State:
    """Return the optimiser's state by parameter name.

    torch numbers parameters instead, and the numbers refer to other parameters if more of the model
    is frozen or a head is replaced.
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
        if parameter.requires_grad and saved and _fits(saved, parameter):
            device = parameter.device
            optimizer.state[parameter] = {k: v.to(device, copy=True) for k, v in saved.items()}


def _fits(state: Mapping[str, Tensor], parameter: nn.Parameter) -> bool:
    """Return whether all tensors of a state, except step counts, have the parameter's shape."""
    return all(value.shape == parameter.shape for value in state.values() if value.dim())
