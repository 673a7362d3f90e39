"""The moving average of the weights."""

from __future__ import annotations

import pytest
import torch

from detr.training.average import WeightAverage


def model_of(weight: float) -> torch.nn.Linear:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    return model


def test_averages_are_applied_for_a_block_and_then_weights_are_restored() -> None:
    model = model_of(8.0)
    average = WeightAverage(model, decay=0.5)
    torch.nn.init.constant_(model.weight, 0.0)
    average.update(step=1000)
    with average.applied() as own:
        assert model.weight.item() == 4
        assert own["weight"].item() == 0
    assert model.weight.item() == 0
    average.update(step=0)  # early averages cover few steps: a tenth of the old value remains
    with average.applied():
        assert model.weight.item() == pytest.approx(0.4)


def test_averaging_resumes_from_a_model_with_averaged_weights() -> None:
    model = model_of(4.0)
    average = WeightAverage(model, decay=0.5)
    average.resume({"weight": torch.tensor([[1.0]])}, where="run")
    assert model.weight.item() == 1
    average.update(step=1000)
    with average.applied():
        assert model.weight.item() == 2.5


def test_without_a_decay_nothing_is_averaged() -> None:
    model = model_of(8.0)
    average = WeightAverage(model, decay=0)
    torch.nn.init.constant_(model.weight, 1.0)
    average.update(step=5)
    average.resume({}, where="run")
    with average.applied() as own:
        assert model.weight.item() == 1 and own == {}
