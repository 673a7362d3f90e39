"""torchvision's ResNet with frozen batch norm folded into the convolutions.

A frozen batch norm is a multiplication and an addition a channel. Done on the weights instead of
on the features it is the same to rounding, and saves half of the passes over memory; gradients
reach the weights through the multiplication.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops.misc import FrozenBatchNorm2d

from detr.fast import compute_type

LAYERS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
_KEPT: WeakKeyDictionary[nn.Conv2d, tuple[list[Any], Tensor, Tensor]] = WeakKeyDictionary()
NARROW = ("resnet18", "resnet34")  # without bottlenecks


def conv_norm(x: Tensor, conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> Tensor:
    """The convolution and the batch norm after it, as one convolution."""
    if torch.compiler.is_compiling():  # sizes in conditions would have it compiled again and again
        weight, shift = _fold(conv, norm)
    elif _is_settled(x, conv):
        weight, shift = _folded(conv, norm)
    elif _is_small(x, conv):
        # more weights than features, as in the last stage: the norm is cheaper on the features
        out = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
        scale, shift = (one[:, None, None].to(out.dtype) for one in _scale_and_shift(norm))
        return torch.addcmul(shift, out, scale)
    else:
        weight, shift = _fold(conv, norm)
    return F.conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups)


def _is_small(x: Tensor, conv: nn.Conv2d) -> bool:
    places = x.shape[0] * x.shape[2] * x.shape[3] // (conv.stride[0] * conv.stride[1])
    return conv.weight[0].numel() > 2 * places


def _is_settled(x: Tensor, conv: nn.Conv2d) -> bool:
    """Whether the weights are frozen, and torch would say if they changed nevertheless."""
    weight = conv.weight
    usual = x.device.type in ("cpu", "cuda") and weight.dtype == torch.float32
    inference = torch.is_inference_mode_enabled() or weight.is_inference()
    settled = usual and not weight.requires_grad and not inference
    if not settled:
        _KEPT.pop(conv, None)  # an optimiser does not count its step as a change
    return settled


def _folded(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does both, in autocast's type.

    They are kept until one of their parts changes.
    """
    dtype = compute_type(conv.weight.device.type)
    parts = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    state = [dtype, *((part.data_ptr(), part._version) for part in parts)]
    kept = _KEPT.get(conv)
    if kept is None or kept[0] != state:
        weight, shift = _fold(conv, norm)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        kept = _KEPT[conv] = (state, weight, shift.to(dtype))
    return kept[1], kept[2]


def _fold(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    scale, shift = _scale_and_shift(norm)
    return conv.weight * scale[:, None, None, None], shift


def _scale_and_shift(norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class BasicBlock(torchvision.models.resnet.BasicBlock):  # type: ignore[misc]
    """Two convolutions; module names as torchvision's."""

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(conv_norm(x, self.conv1, self.bn1), inplace=True)
        return _add(conv_norm(inner, self.conv2, self.bn2), x, self.downsample)


class Bottleneck(torchvision.models.resnet.Bottleneck):  # type: ignore[misc]
    """Narrow, filter, widen; module names as torchvision's."""

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(conv_norm(x, self.conv1, self.bn1), inplace=True)
        inner = F.relu(conv_norm(inner, self.conv2, self.bn2), inplace=True)
        return _add(conv_norm(inner, self.conv3, self.bn3), x, self.downsample)


def _add(out: Tensor, x: Tensor, downsample: Any) -> Tensor:
    """`out`, which is changed, and its input beside it."""
    if downsample is not None:
        x = conv_norm(x, *downsample)
    out += x
    return F.relu(out, inplace=True)


class ResNet(torchvision.models.ResNet):  # type: ignore[misc]
    """(B, 3, H, W) to features of stride 4, 8, 16 and 32 (16 if dilated), named "0" to "3"."""

    def __init__(self, name: str, *, dilation: bool = False) -> None:
        super().__init__(
            BasicBlock if name in NARROW else Bottleneck,
            list(LAYERS[name]),
            replace_stride_with_dilation=[False, False, dilation],
            norm_layer=FrozenBatchNorm2d,
        )
        del self.fc  # the classifier has no place in published weights
        # as the features, else both are copied; the last stage has small features, and large
        # weights, whose gradients, where it is trained, would be copied at every step
        self.to(memory_format=torch.channels_last)
        self.layer4.to(memory_format=torch.contiguous_format)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.maxpool(F.relu(conv_norm(x, self.conv1, self.bn1), inplace=True))
        features = {}
        for index, stage in enumerate((self.layer1, self.layer2, self.layer3)):
            x = stage(x)
            features[str(index)] = x
        if self.layer4[0].conv1.weight.requires_grad or torch.compiler.is_compiling():
            x = x.contiguous()
        return {**features, "3": self.layer4(x)}
