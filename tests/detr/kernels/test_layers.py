"""The faster layers give the same results as torch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels.layers import Attention, Dropout, Linear, dropout


def gradients(found: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, found.numel()).view(found.shape)
    return torch.autograd.grad((found * weights).sum(), leaves)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("size", "tolerance"),
    [((3, 5, 6, 4), 1e-6), ((4, 512, 64, 80), 1e-5)],  # gradients sum over 15 or 2,048 positions
    ids=["small, as a product", "large, as a convolution"],
)
def test_linear_and_its_gradients(
    transposed: bool, size: tuple[int, int, int, int], tolerance: float
) -> None:
    torch.manual_seed(0)
    batch, places, channels, out = size
    layer = Linear(channels, out)
    shape = (batch, channels, places) if transposed else (batch, places, channels)
    x = torch.randn(shape).transpose(1, 2) if transposed else torch.randn(shape)
    x.requires_grad_(True)
    ours, expected = layer(x), F.linear(x, layer.weight, layer.bias)
    assert torch.allclose(ours, expected, atol=tolerance)
    leaves = (x, layer.weight, layer.bias)
    for found, wanted in zip(gradients(ours, *leaves), gradients(expected, *leaves), strict=True):
        assert torch.allclose(found, wanted, atol=10 * tolerance)


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_dropout_zeroes_some_values_and_scales_the_others(probability: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(100, 1000, requires_grad=True)
    dropped = dropout(x, probability)
    kept = dropped > 0
    assert 1 - float(kept.float().mean()) == pytest.approx(probability, abs=0.01)
    assert torch.allclose(dropped[kept], torch.tensor(1 / (1 - probability)))
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped)  # x is all ones


def test_dropout_is_active_in_training_only_and_may_be_0_or_1() -> None:
    x = torch.randn(4, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(dropout(x, 0), x)
    assert not dropout(x, 1).any()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("self_attention", [False, True])
def test_attention_and_its_gradients(training: bool, self_attention: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 4, batch_first=True).train(training)
    ours = Attention(16, 4).train(training)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    key, value = torch.randn(2, 7, 16, requires_grad=True), torch.randn(2, 7, 16)
    query = key if self_attention else torch.randn(2, 3, 16, requires_grad=True)
    padding_mask = torch.zeros(2, 7, dtype=torch.bool)
    padding_mask[1, 4:] = True
    expected, _ = theirs(query, key, value, key_padding_mask=padding_mask)
    found = ours(query, key, value, padding_mask)
    assert torch.allclose(found, expected, atol=1e-5)
    pairs = zip(
        gradients(found, query, ours.in_proj_weight, ours.out_proj.bias),
        gradients(expected, query, theirs.in_proj_weight, theirs.out_proj.bias),
        strict=True,
    )
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_attention_drops_its_weights_in_training() -> None:
    torch.manual_seed(0)
    attention, x = Attention(16, 4, 0.5), torch.randn(1, 6, 16)
    assert not torch.allclose(attention(x, x, x), attention(x, x, x))
    attention.eval()
    assert torch.equal(attention(x, x, x), attention(x, x, x))


def test_attention_in_bfloat16_is_close_to_float32() -> None:
    torch.manual_seed(0)
    attention, x = Attention(32, 4, 0.5).eval(), torch.randn(2, 9, 32)
    padding_mask = torch.zeros(2, 9, dtype=torch.bool)
    padding_mask[1, 5:] = True
    exact = attention(x, x, x, padding_mask)
    with torch.autocast("cpu", torch.bfloat16):
        near = attention(x, x, x, padding_mask)
    assert near.dtype == torch.bfloat16
    assert torch.allclose(near.float(), exact, atol=0.02)
    assert not torch.equal(near.float(), exact)


@torch.no_grad()
def test_frozen_layers_in_bfloat16_use_their_new_weights() -> None:
    """Stored casts of frozen weights equal those that autocast makes at every call."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 16)
    for layer, inputs in ((Linear(16, 8), (x,)), (Attention(16, 4).eval(), (x, x, x))):
        state = layer.state_dict()
        for _ in range(8):  # a new tensor is often allocated where the old one was
            new = {name: torch.randn_like(value) for name, value in state.items()}
            layer.load_state_dict(new, assign=True)
            found = []
            for trained in (True, False):
                layer.requires_grad_(trained)
                with torch.autocast("cpu", torch.bfloat16):
                    found.append(layer(*inputs))
            assert torch.equal(*found)
