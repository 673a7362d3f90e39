"""Derived weights are computed once for frozen sources, and again after every change to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from detr.kernels.derived_weights import cast_weights, derived_weights


class Doubling:
    """Derives twice the weight of a layer and counts the calls."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer, self.calls = layer, 0

    def derive(self, dtype: torch.dtype) -> Tensor:
        self.calls += 1
        return (2 * self.layer.weight).to(dtype)

    def read(self) -> Tensor | None:
        return derived_weights(self.layer, (self.layer.weight,), self.derive)


@pytest.fixture
def doubling() -> Doubling:
    torch.manual_seed(0)
    return Doubling(nn.Linear(3, 2).requires_grad_(False))


def changes(layer: nn.Linear) -> Iterator[object]:
    """Change the weights of a frozen layer in different ways."""
    new = {"weight": torch.randn_like(layer.weight), "bias": torch.randn_like(layer.bias)}
    yield layer.load_state_dict(new)
    yield layer.load_state_dict({n: v + 1 for n, v in new.items()}, assign=True)
    with torch.no_grad():
        yield layer.weight.mul_(2)
    for _ in range(8):  # a new tensor is often allocated where the old one was
        layer.weight.data = torch.randn_like(layer.weight)
        yield None


def test_weights_are_derived_once(doubling: Doubling) -> None:
    first = doubling.read()
    assert first is not None and torch.equal(first, 2 * doubling.layer.weight)
    assert doubling.read() is first
    assert doubling.calls == 1


def test_weights_are_derived_again_after_every_change(doubling: Doubling) -> None:
    for _ in changes(doubling.layer):
        found = doubling.read()
        assert found is not None and torch.equal(found, 2 * doubling.layer.weight)


def test_weights_are_derived_again_after_training(doubling: Doubling) -> None:
    """torch does not record the step of a fused optimiser as a change."""
    doubling.read()
    layer = doubling.layer.requires_grad_(True)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    layer.weight.grad = torch.ones_like(layer.weight)
    assert doubling.read() is None
    optimizer.step()
    layer.requires_grad_(False)
    found = doubling.read()
    assert found is not None and torch.equal(found, 2 * layer.weight)


def test_derived_weights_have_the_dtype_of_autocast(doubling: Doubling) -> None:
    plain = doubling.read()
    with torch.autocast("cpu", torch.bfloat16):
        lower = doubling.read()
    again = doubling.read()
    assert plain is not None and lower is not None and again is not None
    assert (plain.dtype, lower.dtype, again.dtype) == (torch.float32, torch.bfloat16, torch.float32)


def test_unsupported_sources_have_no_derived_weights(doubling: Doubling) -> None:
    doubling.layer.double()
    assert doubling.read() is None
    with torch.inference_mode():
        inference = Doubling(nn.Linear(3, 2).requires_grad_(False))
        assert inference.read() is None
    assert inference.read() is None


def test_cast_weights_casts_frozen_weights_only() -> None:
    layer = nn.Linear(3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert cast_weights(layer, layer.weight, layer.bias) == (layer.weight, layer.bias)
        layer.requires_grad_(False)
        cast = cast_weights(layer, layer.weight, layer.bias)
    assert [weight.dtype for weight in cast] == [torch.bfloat16] * 2
    assert torch.equal(cast[0], layer.weight.bfloat16())
