"""The optimiser's state, by parameter name."""

from __future__ import annotations

from dataclasses import replace

import torch

from detr.config import TrainConfig
from detr.model.detr import DETR
from detr.training.optimizer import (
    build_optimizer,
    learning_rates,
    load_state_by_name,
    set_learning_rates,
    state_by_name,
)
from tests.detr.model.fast.models import fast_model
from tests.detr.training.runs import CONFIG


def step_with_gradients_of_one(model: DETR, optimizer: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()


def test_state_survives_freezing_and_a_new_head() -> None:
    """An optimiser's state is found by name, regardless of which parameters are trained."""
    config = replace(CONFIG, lr_backbone=1e-5)
    before = DETR(config, 4, pretrained=False)
    optimizer = build_optimizer(before, config, lr=1e-4)
    step_with_gradients_of_one(before, optimizer)
    state = state_by_name(optimizer, before)

    frozen = TrainConfig(**{**vars(config), "lr_backbone": 0})
    after = DETR(frozen, 9, pretrained=False)
    restored = build_optimizer(after, frozen, lr=1e-4)
    load_state_by_name(restored, after, state)
    found = state_by_name(restored, after)
    trained = {n for n, p in after.named_parameters() if p.requires_grad}
    assert trained - found.keys() == {"class_embed.weight", "class_embed.bias"}
    assert not any(name.startswith("backbone") for name in found)
    for name in found:
        assert torch.equal(found[name]["exp_avg"], state[name]["exp_avg"])
    step_with_gradients_of_one(after, restored)
    assert state_by_name(restored, after)["class_embed.weight"]["step"] == 1
    assert state_by_name(restored, after)["query_embed.weight"]["step"] == 2


def test_vectors_of_the_fast_variant_do_not_decay() -> None:
    model = fast_model()
    optimizer = build_optimizer(model, model.config, lr=1e-3)
    set_learning_rates(optimizer, 0.5)
    assert learning_rates(optimizer) == {"lr": 5e-4, "lr_backbone": 5e-5, "lr_muon": 2e-3}
    decay_of = {p: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert decay_of.keys() == set(trained.values())
    for name, parameter in trained.items():
        assert decay_of[parameter] == (1e-4 if parameter.dim() > 1 else 0), name
