"""EfficientNet-Lite0 with folded and fused layers gives the same results as separate layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from detr.model.efficientnet import (
    OUTPUT_STD,
    OUTPUTS,
    Block,
    EfficientNetLite0,
    SameConv2d,
    load_weights,
)


def block_by_layers(block: Block, x: Tensor) -> Tensor:
    wide = F.relu6(block._bn0(block._expand_conv(x))) if block.expands else x
    wide = F.relu6(block._bn1(block._depthwise_conv(wide)))
    narrow: Tensor = block._bn2(block._project_conv(wide))
    return narrow + x if block.has_shortcut else narrow


def by_layers(model: EfficientNetLite0, x: Tensor) -> dict[str, Tensor]:
    x, features = F.relu6(model._bn0(model._conv_stem(x))), {}
    for index, block in enumerate(model._blocks):
        assert isinstance(block, Block)
        x = block_by_layers(block, x)
        if index in OUTPUTS:
            features[OUTPUTS[index]] = x / OUTPUT_STD[OUTPUTS[index]]
    return features


def is_close(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Compare with a tolerance relative to the largest value."""
    return bool((found - expected).abs().max() < tolerance * expected.abs().max())


def pretrained(*, dilation: bool = False) -> EfficientNetLite0:
    model = EfficientNetLite0(dilation=dilation)
    load_weights(model)
    return model


@pytest.mark.parametrize("dilation", [False, True])
@pytest.mark.parametrize("frozen", [0, 3, 16], ids=["trained", "partly frozen", "frozen"])
def test_values_and_gradients(dilation: bool, frozen: int) -> None:
    torch.manual_seed(0)
    model, x = pretrained(dilation=dilation), torch.randn(2, 3, 71, 98)
    trained = [f"_blocks.{index}." for index in range(frozen, 16)] + ["_conv_stem"] * (not frozen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(trained)))
    for _ in range(2):
        found, expected, gradients = model(x), by_layers(model, x), []
        for name, level in expected.items():
            assert is_close(found[name], level, 1e-4)
        weights = [p for p in model.parameters() if p.requires_grad]
        for features in (found, expected) if weights else ():
            gradients.append(torch.autograd.grad(features["3"].square().sum(), weights))
        assert all(is_close(a, b, 1e-3) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_values_in_bfloat16_are_close(
    monkeypatch: pytest.MonkeyPatch, frozen: bool, fuses: bool
) -> None:
    if not fuses:
        monkeypatch.setattr("detr.kernels.torch_private.can_fuse_convolutions", lambda dtype: False)
    torch.manual_seed(0)
    model, x = pretrained().requires_grad_(not frozen), torch.rand(1, 3, 64, 96)
    expected = by_layers(model, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(x)
    assert {level.dtype for level in found.values()} == {torch.bfloat16}
    for name, level in expected.items():
        assert (found[name].float() - level).square().mean().sqrt() < 0.1 * level.std()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_matches_tensorflow(kernel: int, stride: int) -> None:
    """The output size is size / stride; odd padding has one more pixel at the right and bottom."""
    conv, x = SameConv2d(1, 1, kernel, stride=stride, bias=False), torch.randn(1, 1, 8, 8)
    pads = kernel - stride
    padded = F.pad(x, (pads // 2, pads - pads // 2) * 2)
    assert torch.allclose(conv(x), F.conv2d(padded, conv.weight, stride=stride), atol=1e-6)
    assert conv(x).shape[-1] == 8 // stride
