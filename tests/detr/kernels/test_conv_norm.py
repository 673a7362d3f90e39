"""A convolution with its frozen batch norm folded in is the two, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops.misc import FrozenBatchNorm2d

from detr.kernels import conv_norm as module
from detr.kernels.conv_norm import Act, conv_norm
from detr.kernels.fast import _KEPT
from detr.model.resnet import ResNet


def layers(channels: int = 8, out: int = 16) -> tuple[nn.Conv2d, FrozenBatchNorm2d]:
    torch.manual_seed(0)
    norm = FrozenBatchNorm2d(out)
    for value in norm.buffers():
        value.uniform_(0.5, 2)
    return nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), norm


def changes(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> Iterator[object]:
    """All that can change what is folded; of a frozen convolution, last."""
    yield conv.requires_grad_(False)
    yield conv.load_state_dict({"weight": torch.randn_like(conv.weight)})
    yield conv.load_state_dict({"weight": torch.randn_like(conv.weight)}, assign=True)
    with torch.no_grad():
        yield conv.weight.copy_(torch.randn_like(conv.weight))
        yield norm.running_var.mul_(2)
    for _ in range(8):  # new values often come to lie where old ones lay
        conv.weight.data = torch.randn_like(conv.weight)
        yield None
    yield conv.requires_grad_(True)
    optimizer = torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)
    conv.weight.grad = torch.randn_like(conv.weight)
    yield optimizer.step()
    yield conv.requires_grad_(False)
    yield (conv.double(), norm.double())


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


def test_what_is_kept_of_frozen_weights_changes_with_them() -> None:
    conv, norm = layers()
    for _ in changes(conv, norm):
        x = torch.randn(2, 8, 6, 6, dtype=conv.weight.dtype)
        for _ in range(2):
            assert torch.allclose(conv_norm(x, conv, norm), norm(conv(x)), atol=1e-4)
    assert conv not in _KEPT  # of other types than float32 nothing is kept
    conv.float(), norm.float()
    conv_norm(x.float(), conv, norm)
    assert conv in _KEPT


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


def test_kept_weights_are_in_autocasts_type_and_no_part_of_the_model() -> None:
    conv, norm = layers()
    conv.requires_grad_(False)
    x = torch.randn(2, 8, 6, 6)
    plain = conv_norm(x, conv, norm)
    with torch.autocast("cpu", torch.bfloat16):
        lower = conv_norm(x, conv, norm)
        assert _KEPT[conv].made.weight.dtype == torch.bfloat16
    assert (plain.dtype, lower.dtype) == (torch.float32, torch.bfloat16)
    assert torch.allclose(plain, lower.float(), rtol=0.02, atol=0.05)
    assert torch.equal(conv_norm(x, conv, norm), plain)
    assert list(conv.state_dict()) == ["weight"]


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize("act", [None, "relu", "relu6"])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [1, 2, 9])
def test_what_follows_frozen_weights(
    monkeypatch: pytest.MonkeyPatch,
    fuses: bool,
    act: Act | None,
    order: torch.memory_format,
    side: int,
) -> None:
    """An addition and an activation, by oneDNN or after it, in either precision."""
    assert module._can_fuse(torch.float32) == torch.backends.cpu.get_cpu_capability().startswith(
        "AVX"
    )
    if not fuses:
        monkeypatch.setattr(module, "_can_fuse", lambda dtype: False)
    conv, norm = layers(16, 24)
    conv.requires_grad_(False)
    x = torch.randn(2, 16, side, side).to(memory_format=order)
    beside = torch.randn_like(norm(conv(x))).to(memory_format=order)
    for added in (None, beside):
        expected = norm(conv(x)) if added is None else norm(conv(x)) + added
        expected = {None: lambda x: x, "relu": F.relu, "relu6": F.relu6}[act](expected)
        own = None if added is None else added.clone()  # its memory may be used
        assert torch.allclose(conv_norm(x, conv, norm, beside=own, act=act), expected, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            own = None if added is None else added.bfloat16()
            lower = conv_norm(x.bfloat16(), conv, norm, beside=own, act=act)
        assert torch.allclose(lower.float(), expected, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("part", ["weight", "bias", "running_mean"])
def test_broken_weights_show(part: str) -> None:
    """Though oneDNN's ReLU makes zeros of what is not a number."""
    conv, norm = layers()
    conv.requires_grad_(False)
    broken = conv.weight if part == "weight" else getattr(norm, part)
    broken.fill_(float("nan"))
    assert conv_norm(torch.ones(1, 8, 4, 4), conv, norm, act="relu").isnan().all()


@pytest.mark.parametrize("name", ["x", "beside"])
def test_gradients_go_through_frozen_weights_and_past_them(name: str) -> None:
    conv, norm = layers()
    conv.requires_grad_(False)
    inputs = {"x": torch.randn(1, 8, 6, 6), "beside": torch.randn(1, 16, 3, 3)}
    inputs[name].requires_grad_(True)
    found = conv_norm(inputs["x"], conv, norm, beside=inputs["beside"], act="relu")
    expected = F.relu(norm(conv(inputs["x"])) + inputs["beside"])
    assert torch.allclose(found, expected, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), inputs[name]) for y in (found, expected)]
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-4)


def test_what_was_kept_is_forgotten_where_it_is_trained_meanwhile() -> None:
    """Torch does not count a fused optimiser's step as a change."""
    torch.manual_seed(0)
    model, x = ResNet("resnet18").requires_grad_(False), torch.randn(1, 3, 64, 64)
    outputs(model, x)
    optimizer = torch.optim.AdamW(model.requires_grad_(True).parameters(), lr=0.01, fused=True)
    torch.autograd.backward(torch.stack([y.square().mean() for y in outputs(model, x)]).sum())
    optimizer.step()
    found = outputs(model.requires_grad_(False), x)
    _KEPT.clear()
    assert all(torch.equal(a, b) for a, b in zip(found, outputs(model, x), strict=True))


def test_a_frozen_network_can_be_traced() -> None:
    model, x = ResNet("resnet18").requires_grad_(False), torch.randn(1, 3, 64, 64)
    expected = outputs(model, x)[-1]
    traced = torch.jit.trace(lambda photo: model(photo)["3"], x, check_trace=False)
    assert torch.allclose(traced(x), expected, atol=1e-4)


def outputs(model: ResNet, x: Tensor) -> list[Tensor]:
    return [level.clone() for level in model(x).values()]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_frozen_network_gives_what_a_trained_one_gives(name: str) -> None:
    torch.manual_seed(0)
    model, x = ResNet(name), torch.randn(2, 3, 75, 101)
    trained, before = outputs(model, x), x.clone()
    model.requires_grad_(False)
    for _ in range(2):
        for ours, expected in zip(outputs(model, x), trained, strict=True):
            assert (ours - expected).abs().max() < 1e-4 * expected.max()
    assert torch.equal(x, before)


def test_asking_whether_it_fuses_draws_no_random_numbers() -> None:
    """They would be missing where a training goes on in another process."""
    module._can_fuse.cache_clear()
    before = torch.get_rng_state()
    module._can_fuse(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
