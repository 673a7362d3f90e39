"""`conv_norm` is equivalent to a convolution, a frozen batch norm and an activation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from detr.kernels.conv_norm import conv_norm
from detr.kernels.torch_private import Activation
from detr.model.resnet import ResNet

CAN_FUSE = "detr.kernels.torch_private.can_fuse_convolutions"


def layers(channels: int = 8, out: int = 16) -> tuple[nn.Conv2d, FrozenBatchNorm2d]:
    torch.manual_seed(0)
    norm = FrozenBatchNorm2d(out)
    for value in norm.buffers():
        value.uniform_(0.5, 2)
    return nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), norm


def features(model: ResNet, x: Tensor) -> list[Tensor]:
    return [level.clone() for level in model(x).values()]


@pytest.mark.parametrize("side", [32, 4], ids=["more features than weights", "fewer"])
def test_values_and_gradients(side: int) -> None:
    conv, norm = layers()
    x = torch.randn(2, 8, side, side, requires_grad=True)
    ours, expected = conv_norm(x, conv, norm), norm(conv(x))
    assert torch.allclose(ours, expected, atol=1e-5)
    weights = torch.linspace(-1, 1, ours.numel()).view(ours.shape)
    leaves = (x, conv.weight)
    found, wanted = (torch.autograd.grad((y * weights).sum(), leaves) for y in (ours, expected))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, wanted, strict=True))


def test_frozen_weights_may_change() -> None:
    conv, norm = layers()
    conv.requires_grad_(False)
    x = torch.randn(2, 8, 6, 6)
    for change in ("nothing", "weight", "norm", "training", "dtype"):
        with torch.no_grad():
            if change == "weight":
                conv.weight.copy_(torch.randn_like(conv.weight))
            if change == "norm":
                norm.running_var.mul_(2)
        if change == "training":
            conv.requires_grad_(True)
        if change == "dtype":
            conv.double(), norm.double()
        for _ in range(2):
            found = conv_norm(x.to(conv.weight.dtype), conv, norm)
            assert torch.allclose(found, norm(conv(x.to(conv.weight.dtype))), atol=1e-4), change


def test_frozen_weights_in_inference_mode_and_after_it() -> None:
    with torch.inference_mode():
        loaded, norm = layers()
        conv_norm(torch.randn(2, 8, 6, 6), loaded, norm)
    conv_norm(torch.randn(2, 8, 6, 6), loaded.requires_grad_(False), norm)
    conv, norm = layers()
    conv.requires_grad_(False)
    with torch.inference_mode():
        conv_norm(torch.randn(2, 8, 6, 6), conv, norm)
    x = torch.randn(1, 8, 6, 6, requires_grad=True)
    torch.autograd.backward(conv_norm(x, conv, norm).sum())
    assert x.grad is not None


def test_autocast_leaves_float32_results_and_the_state_unchanged() -> None:
    conv, norm = layers()
    conv.requires_grad_(False)
    x = torch.randn(2, 8, 6, 6)
    plain = conv_norm(x, conv, norm)
    with torch.autocast("cpu", torch.bfloat16):
        lower = conv_norm(x, conv, norm)
    assert (plain.dtype, lower.dtype) == (torch.float32, torch.bfloat16)
    assert torch.allclose(plain, lower.float(), rtol=0.02, atol=0.05)
    assert torch.equal(conv_norm(x, conv, norm), plain)
    assert list(conv.state_dict()) == ["weight"]


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [1, 2, 9])
def test_addition_and_activation_after_frozen_weights(
    monkeypatch: pytest.MonkeyPatch,
    fuses: bool,
    activation: Activation | None,
    layout: torch.memory_format,
    side: int,
) -> None:
    """Fused by oneDNN or as separate operations, in float32 and bfloat16."""
    if not fuses:
        monkeypatch.setattr(CAN_FUSE, lambda dtype: False)
    conv, norm = layers(16, 24)
    conv.requires_grad_(False)
    x = torch.randn(2, 16, side, side).to(memory_format=layout)
    normed = norm(conv(x))
    for addend in (None, torch.randn_like(normed).to(memory_format=layout)):
        expected = normed if addend is None else normed + addend
        expected = {None: lambda x: x, "relu": F.relu, "relu6": F.relu6}[activation](expected)
        own = None if addend is None else addend.clone()  # the result may overwrite it
        found = conv_norm(x, conv, norm, addend=own, activation=activation)
        assert torch.allclose(found, expected, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            own = None if addend is None else addend.bfloat16()
            lower = conv_norm(x.bfloat16(), conv, norm, addend=own, activation=activation)
        assert torch.allclose(lower.float(), expected, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("part", ["weight", "bias", "running_mean"])
def test_nan_weights_give_nan(part: str) -> None:
    """oneDNN's fused ReLU would turn NaN into 0."""
    conv, norm = layers()
    conv.requires_grad_(False)
    broken = conv.weight if part == "weight" else getattr(norm, part)
    broken.fill_(float("nan"))
    assert conv_norm(torch.ones(1, 8, 4, 4), conv, norm, activation="relu").isnan().all()


@pytest.mark.parametrize("name", ["x", "addend"])
def test_gradients_flow_through_frozen_convolutions_and_addends(name: str) -> None:
    conv, norm = layers()
    conv.requires_grad_(False)
    inputs = {"x": torch.randn(1, 8, 6, 6), "addend": torch.randn(1, 16, 3, 3)}
    inputs[name].requires_grad_(True)
    found = conv_norm(inputs["x"], conv, norm, addend=inputs["addend"], activation="relu")
    expected = F.relu(norm(conv(inputs["x"])) + inputs["addend"])
    assert torch.allclose(found, expected, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), inputs[name]) for y in (found, expected)]
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-4)


def test_a_network_that_is_frozen_after_training_uses_its_new_weights() -> None:
    """torch does not record the step of a fused optimiser as a change."""
    torch.manual_seed(0)
    model, x = ResNet("resnet18").requires_grad_(False), torch.randn(1, 3, 64, 64)
    features(model, x)
    optimizer = torch.optim.AdamW(model.requires_grad_(True).parameters(), lr=0.01, fused=True)
    torch.autograd.backward(torch.stack([y.square().mean() for y in features(model, x)]).sum())
    optimizer.step()
    found = features(model.requires_grad_(False), x)
    expected = features(copy.deepcopy(model), x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_frozen_network_can_be_traced() -> None:
    model, x = ResNet("resnet18").requires_grad_(False), torch.randn(1, 3, 64, 64)
    expected = features(model, x)[-1]
    traced = torch.jit.trace(lambda photo: model(photo)["3"], x, check_trace=False)
    assert torch.allclose(traced(x), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_freezing_a_network_does_not_change_its_features(name: str) -> None:
    torch.manual_seed(0)
    model, x = ResNet(name), torch.randn(2, 3, 75, 101)
    trained, before = features(model, x), x.clone()
    model.requires_grad_(False)
    for _ in range(2):
        for ours, expected in zip(features(model, x), trained, strict=True):
            assert (ours - expected).abs().max() < 1e-4 * expected.max()
    assert torch.equal(x, before)
