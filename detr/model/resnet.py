"""torchvision's ResNet with frozen batch norm folded into the convolutions."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor
from torchvision.ops.misc import FrozenBatchNorm2d

from detr.kernels.conv_norm import conv_norm

LAYERS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
NARROW = ("resnet18", "resnet34")  # without bottlenecks


class BasicBlock(torchvision.models.resnet.BasicBlock):  # type: ignore[misc]
    """Two convolutions; module names as torchvision's. Frozen, it may change its input."""

    def forward(self, x: Tensor) -> Tensor:
        inner = conv_norm(x, self.conv1, self.bn1, activation="relu")
        shortcut = conv_norm(x, *self.downsample) if self.downsample else x
        return conv_norm(inner, self.conv2, self.bn2, addend=shortcut, activation="relu")


class Bottleneck(torchvision.models.resnet.Bottleneck):  # type: ignore[misc]
    """Narrow, filter, widen; module names as torchvision's. Frozen, it may change its input."""

    def forward(self, x: Tensor) -> Tensor:
        inner = conv_norm(x, self.conv1, self.bn1, activation="relu")
        inner = conv_norm(inner, self.conv2, self.bn2, activation="relu")
        shortcut = conv_norm(x, *self.downsample) if self.downsample else x
        return conv_norm(inner, self.conv3, self.bn3, addend=shortcut, activation="relu")


class ResNet(torchvision.models.ResNet):  # type: ignore[misc]
    """(B, 3, H, W) to features of stride 4, 8, 16 and 32 (16 if dilated), named "0" to "3".

    Frozen, its blocks write over what earlier ones of their stage gave, also to hooks.
    """

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
        x = self.maxpool(conv_norm(x, self.conv1, self.bn1, activation="relu"))
        features = {}
        for index, stage in enumerate((self.layer1, self.layer2, self.layer3)):
            x = stage(x)
            features[str(index)] = x
        if self.layer4[0].conv1.weight.requires_grad or torch.compiler.is_compiling():
            x = x.contiguous()
        return {**features, "3": self.layer4(x)}
