"""torchvision's ResNet with frozen batch norms, folded into the convolutions."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

from detr.config import NARROW_BACKBONES
from detr.kernels.conv_norm import conv_norm
from detr.kernels.frozen_norm import FrozenBatchNorm2d

LAYERS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}


class BasicBlock(torchvision.models.resnet.BasicBlock):  # type: ignore[misc]
    """Two 3x3 convolutions; module names as in torchvision.

    A frozen block may overwrite its input.
    """

    def forward(self, x: Tensor) -> Tensor:
        out = conv_norm(x, self.conv1, self.bn1, activation="relu")
        shortcut = conv_norm(x, *self.downsample) if self.downsample else x
        return conv_norm(out, self.conv2, self.bn2, addend=shortcut, activation="relu")


class Bottleneck(torchvision.models.resnet.Bottleneck):  # type: ignore[misc]
    """1x1, 3x3 and 1x1 convolutions; module names as in torchvision.

    A frozen block may overwrite its input.
    """

    def forward(self, x: Tensor) -> Tensor:
        out = conv_norm(x, self.conv1, self.bn1, activation="relu")
        out = conv_norm(out, self.conv2, self.bn2, activation="relu")
        shortcut = conv_norm(x, *self.downsample) if self.downsample else x
        return conv_norm(out, self.conv3, self.bn3, addend=shortcut, activation="relu")


class ResNet(torchvision.models.ResNet):  # type: ignore[misc]
    """(B, 3, H, W) to features at strides 4, 8, 16 and 32 (16 if dilated), named "0" to "3".

    A frozen block may overwrite the output of the previous block in its stage, so forward hooks
    must copy what they keep.
    """

    def __init__(self, name: str, *, dilation: bool = False) -> None:
        super().__init__(
            BasicBlock if name in NARROW_BACKBONES else Bottleneck,
            list(LAYERS[name]),
            replace_stride_with_dilation=[False, False, dilation],
            norm_layer=FrozenBatchNorm2d,
        )
        del self.fc  # published DETR weights have no classifier
        # Weights and features share a memory layout; otherwise both would be copied. The last stage
        # stays contiguous: the gradients of its large weights would be copied at every step.
        self.to(memory_format=torch.channels_last)
        self.layer4.to(memory_format=torch.contiguous_format)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.maxpool(conv_norm(x, self.conv1, self.bn1, activation="relu"))
        features = {}
        for index, stage in enumerate((self.layer1, self.layer2, self.layer3)):
            x = stage(x)
            features[str(index)] = x
        if self.layer4[0].conv1.weight.requires_grad or torch.compiler.is_compiling():
            x = x.contiguous()
        return {**features, "3": self.layer4(x)}
