"""A light feature pyramid, which fuses the backbone's features across strides.

The layout is that of RT-DETR's hybrid encoder (Zhao et al., CVPR 2024): self-attention on the
coarsest level only, then fusion from coarse to fine and back. Here, single convolutions replace its
fusion blocks.

Every norm normalises the channels of one location (as in ViTDet's simple feature pyramid, Li et
al., ECCV 2022). With batch norm, the features of a photo would depend on the other photos of its
batch in training, so splitting a batch over processes or accumulating batches would change the
result.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import PointwiseConv
from detr.model.position_encoding import PositionEmbeddingSine
from detr.model.transformer import Encoder

KERNEL = 5  # of the depthwise convolutions at strides 8 to 32


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each location of (B, C, H, W) features."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNorm(nn.Module):
    """A 1x1 convolution and a norm."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = PointwiseConv(channels, out, bias=False)
        self.norm = ChannelNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.conv(x))
        return normed


class SeparableConvNorm(ConvNorm):
    """A depthwise and a 1x1 convolution and a norm (MobileNet, Howard et al., 2017).

    Full 3x3 convolutions took a quarter of each training step, mostly for their weight gradients.
    """

    def __init__(self, channels: int, out: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out)
        self.depthwise = _depthwise(channels, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.depthwise(x))


class Pyramid(nn.Module):
    """Turns features of strides 4 to 32 into levels of strides 8 to 32 and embeddings of stride 4.

    `channels` are the channel counts of the backbone's features, finest first.
    """

    def __init__(self, config: TrainConfig, channels: tuple[int, ...]) -> None:
        super().__init__()
        dim, mask_dim = config.hidden_dim, mask_dim_of(config)
        self.lateral = nn.ModuleList(ConvNorm(count, dim) for count in channels[1:])
        self.lateral_pixels = ConvNorm(channels[0], mask_dim)
        self.position = PositionEmbeddingSine(dim // 2)
        self.encoder = Encoder(config)
        self.top_down, self.downsample, self.bottom_up = (
            nn.ModuleList(
                SeparableConvNorm(dim, dim, kernel=KERNEL, stride=stride) for _ in range(2)
            )
            for stride in (1, 2, 1)
        )
        self.to_pixels = ConvNorm(dim, mask_dim)
        self.pixel_depthwise = _depthwise(mask_dim, 3)
        self.pixel_norm = ChannelNorm(mask_dim)
        self.pixel_embed = PointwiseConv(mask_dim, mask_dim)

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return levels (B, D, h, w) of strides 8, 16, 32 and embeddings (B, E, H / 4, W / 4)."""
        stride4, *others = features
        level8, level16, level32 = (
            lateral(x) for lateral, x in zip(self.lateral, others, strict=True)
        )
        level32 = self._encode(level32)
        level16 = F.silu(self.top_down[0](level16 + _upsample(level32, level16)))
        level8 = F.silu(self.top_down[1](level8 + _upsample(level16, level8)))

        pixels = self.lateral_pixels(stride4)
        pixels = F.silu(pixels + _upsample(self.to_pixels(level8), pixels, mode="bilinear"))
        pixels = self.pixel_embed(F.silu(self.pixel_norm(self.pixel_depthwise(pixels))))

        down16 = F.silu(self.downsample[0](level8))
        level16 = F.silu(self.bottom_up[0](level16 + down16))
        down32 = F.silu(self.downsample[1](level16))
        level32 = F.silu(self.bottom_up[1](level32 + down32))
        return [level8, level16, level32], pixels

    def _encode(self, level: Tensor) -> Tensor:
        """Apply self-attention over all locations of (B, D, h, w) features."""
        no_padding = torch.zeros_like(level[:, 0], dtype=torch.bool)
        position = self.position(no_padding[:1]).flatten(2).transpose(1, 2)  # (1, h w, D)
        tokens = level.flatten(2).transpose(1, 2)  # (B, h w, D)
        encoded: Tensor = self.encoder(tokens, no_padding.flatten(1), position)
        return encoded.transpose(1, 2).reshape(level.shape)


def _depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)


def mask_dim_of(config: TrainConfig) -> int:
    """Return the length of the pixel embeddings."""
    return config.hidden_dim // 2


def _upsample(x: Tensor, beside: Tensor, *, mode: str = "nearest") -> Tensor:
    return F.interpolate(x, size=beside.shape[-2:], mode=mode)
