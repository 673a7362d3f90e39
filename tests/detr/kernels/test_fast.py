"""Faster layers are the same layers: torch's own are the measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels.fast import _KEPT, Attention, Dropout, Linear, dropout


def gradients(found: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, found.numel()).view(found.shape)
    return torch.autograd.grad((found * weights).sum(), leaves)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("size", "nearly"),
    [((3, 5, 6, 4), 1e-6), ((4, 512, 64, 80), 1e-5)],  # the large one adds up 2,048 places
    ids=["small", "large"],
)
def test_linear_and_its_gradients(
    transposed: bool, size: tuple[int, int, int, int], nearly: float
) -> None:
    torch.manual_seed(0)
    batch, places, channels, out = size
    layer = Linear(channels, out)
    shape = (batch, channels, places) if transposed else (batch, places, channels)
    x = torch.randn(shape).transpose(1, 2) if transposed else torch.randn(shape)
    x.requires_grad_(True)
    ours, expected = layer(x), F.linear(x, layer.weight, layer.bias)
    assert torch.allclose(ours, expected, atol=nearly)
    by_convolution = type(ours.grad_fn).__name__ == "TransposeBackward0"
    assert by_convolution == (batch == 4)
    leaves = (x, layer.weight, layer.bias)
    for found, wanted in zip(gradients(ours, *leaves), gradients(expected, *leaves), strict=True):
        assert torch.allclose(found, wanted, atol=10 * nearly)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_zeroes_its_share_and_raises_the_rest(share: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(100, 1000, requires_grad=True)
    dropped = dropout(x, share)
    kept = dropped > 0
    assert 1 - float(kept.float().mean()) == pytest.approx(share, abs=0.01)
    assert torch.allclose(dropped[kept], torch.tensor(1 / (1 - share)))
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped)  # of ones


def test_dropout_is_for_training_only_and_may_be_all_or_nothing() -> None:
    x = torch.randn(4, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(dropout(x, 0), x)
    assert not dropout(x, 1).any()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("itself", [False, True])
def test_attention_and_its_gradients(training: bool, itself: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 4, batch_first=True).train(training)
    ours = Attention(16, 4).train(training)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    seen, values = torch.randn(2, 7, 16, requires_grad=True), torch.randn(2, 7, 16)
    asking = seen if itself else torch.randn(2, 3, 16, requires_grad=True)
    hidden = torch.zeros(2, 7, dtype=torch.bool)
    hidden[1, 4:] = True
    expected, _ = theirs(asking, seen, values, key_padding_mask=hidden)
    found = ours(asking, seen, values, hidden)
    assert torch.allclose(found, expected, atol=1e-5)
    pairs = zip(
        gradients(found, asking, ours.in_proj_weight, ours.out_proj.bias),
        gradients(expected, asking, theirs.in_proj_weight, theirs.out_proj.bias),
        strict=True,
    )
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_attention_drops_its_weights_in_training() -> None:
    torch.manual_seed(0)
    attention, x = Attention(16, 4, 0.5), torch.randn(1, 6, 16)
    assert not torch.allclose(attention(x, x, x), attention(x, x, x))
    attention.eval()
    assert torch.equal(attention(x, x, x), attention(x, x, x))


def test_attention_in_bfloat16_is_near_that_in_float32() -> None:
    torch.manual_seed(0)
    attention, x = Attention(32, 4, 0.5).eval(), torch.randn(2, 9, 32)
    hidden = torch.zeros(2, 9, dtype=torch.bool)
    hidden[1, 5:] = True
    exact = attention(x, x, x, hidden)
    with torch.autocast("cpu", torch.bfloat16):
        near = attention(x, x, x, hidden)
    assert near.dtype == torch.bfloat16
    assert torch.allclose(near.float(), exact, atol=0.02)
    assert not torch.equal(near.float(), exact)


@torch.no_grad()
def test_frozen_layers_in_bfloat16_follow_their_weights() -> None:
    """What is kept of them is what autocast makes of them at every call."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 16)
    for layer, inputs in ((Linear(16, 8), (x,)), (Attention(16, 4).eval(), (x, x, x))):
        state = layer.state_dict()
        for _ in range(8):  # new weights often come to lie where old ones lay
            new = {name: torch.randn_like(value) for name, value in state.items()}
            layer.load_state_dict(new, assign=True)
            found = []
            for trains in (True, False):
                layer.requires_grad_(trains)
                with torch.autocast("cpu", torch.bfloat16):
                    found.append(layer(*inputs))
            assert torch.equal(*found)
            assert layer in _KEPT
        layer.requires_grad_(True)
        layer(*inputs)
        assert layer not in _KEPT
