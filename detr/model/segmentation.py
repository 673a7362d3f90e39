"""The mask head: a mask for each query, from its attention over the memory and from the features.

As published with DETR, but the head runs only on selected queries, those matched in training or
kept in prediction, and training starts from other weights of the first layer. No layer mixes
queries, so their masks are the same as if it ran on all queries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import Linear
from detr.model.detr import DETR, Output

QUERIES_AT_ONCE = 32  # limits the activations in memory when all masks are computed


class DETRsegm(nn.Module):
    """DETR with a mask head; module names as published."""

    def __init__(self, detr: DETR, config: TrainConfig) -> None:
        super().__init__()
        dim, heads = config.hidden_dim, config.nheads
        self.detr = detr
        self.bbox_attention = MHAttentionMap(dim, heads)
        self.mask_head = MaskHeadSmallConv(dim + heads, detr.channels[-2::-1], dim)
        self.mask_head.amplify_attention(heads)

    def masks(self, output: Output, photo: Tensor, query: Tensor) -> Tensor:
        """Return mask logits (K, H/4, W/4) of K queries.

        `photo` (K,) and `query` (K,) are indices into the batch and into its queries.
        """
        used, photo_of_used = torch.unique(photo, return_inverse=True)
        output = output.select_features(used)
        return self.masks_of_embeddings(output, output.embeddings[photo, query], photo_of_used)

    def masks_of_embeddings(self, output: Output, embeddings: Tensor, photo: Tensor) -> Tensor:
        """Return mask logits (K, H/4, W/4) of embeddings (K, D) from the photos `photo` (K,)."""
        projected, fpn = output.projected, [level.values for level in output.features[-2::-1]]
        attention = self.bbox_attention(embeddings, output.memory, projected.padding, photo)
        logits: Tensor = self.mask_head(projected.values, attention, fpn, photo)
        return logits

    def all_masks(self, output: Output) -> Tensor:
        """Return mask logits (B, Q, H/4, W/4) of all queries; without gradients, in parts."""
        batch, queries = output.embeddings.shape[:2]
        device = output.embeddings.device
        photo = torch.arange(batch, device=device).repeat_interleave(queries)
        query = torch.arange(queries, device=device).repeat(batch)
        size = len(query) if torch.is_grad_enabled() else QUERIES_AT_ONCE
        parts = zip(torch.split(photo, size), torch.split(query, size), strict=True)
        masks = torch.cat([self.masks(output, *part) for part in parts])
        return masks.view(batch, queries, *masks.shape[1:])


class MHAttentionMap(nn.Module):
    """The attention weights of each query over the memory, one map per head."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.k_linear = Linear(dim, dim)
        for linear in (self.q_linear, self.k_linear):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, embeddings: Tensor, memory: Tensor, padding: Tensor, photo: Tensor) -> Tensor:
        """Return attention weights (K, heads, H, W).

        Args:
            embeddings: (K, D).
            memory: (B, D, H, W).
            padding: (B, H, W) bool, True in the padding.
            photo: (K,), the index of each embedding's photo in the batch.
        """
        dim, height, width = memory.shape[1:]
        head_dim = dim // self.heads
        keys = self.k_linear(memory.flatten(2).transpose(1, 2))  # (B, HW, D)
        keys = keys.index_select(0, photo).unflatten(2, (self.heads, -1))  # (K, HW, heads, D/heads)
        queries = self.q_linear(embeddings).view(len(embeddings), self.heads, head_dim)
        weights = torch.einsum("knc,kpnc->knp", queries * head_dim**-0.5, keys)  # (K, heads, HW)
        padding_mask = padding.flatten(1).index_select(0, photo)[:, None]  # (K, 1, HW)
        weights = weights.masked_fill(padding_mask, float("-inf"))
        # as published, one softmax over the positions of all heads
        return weights.flatten(1).softmax(-1).view(-1, self.heads, height, width)


class MaskHeadSmallConv(nn.Module):
    """Convolutions that upsample attention maps to stride 4, adding the backbone's features."""

    def __init__(self, dim: int, fpn_dims: tuple[int, ...], context_dim: int) -> None:
        super().__init__()
        sizes = [dim, dim, *(context_dim // divisor for divisor in (2, 4, 8, 16))]
        self.lay1, self.gn1 = _layer(sizes[0], sizes[1])
        self.lay2, self.gn2 = _layer(sizes[1], sizes[2])
        self.lay3, self.gn3 = _layer(sizes[2], sizes[3])
        self.lay4, self.gn4 = _layer(sizes[3], sizes[4])
        self.lay5, self.gn5 = _layer(sizes[4], sizes[5])
        self.out_lay = nn.Conv2d(sizes[5], 1, 3, padding=1)
        self.adapter1 = nn.Conv2d(fpn_dims[0], sizes[2], 1)
        self.adapter2 = nn.Conv2d(fpn_dims[1], sizes[3], 1)
        self.adapter3 = nn.Conv2d(fpn_dims[2], sizes[4], 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def amplify_attention(self, heads: int) -> None:
        """Scale the first layer's initial weights so that attention maps have an effect at once.

        The maps of a query sum to 1 over all positions and heads, so their values are about a
        thousand times smaller than the features that they are concatenated with, yet only the maps
        distinguish one query from another. With the published initial weights, they have no effect
        for many epochs on COCO.
        """
        self.lay1.weight[:, -heads:] *= 1000
        self.lay1.weight[:, :-heads] *= 0.25

    def forward(
        self, projected: Tensor, attention: Tensor, fpn: list[Tensor], photo: Tensor
    ) -> Tensor:
        """Return mask logits (K, H', W') at stride 4.

        Args:
            projected: (B, D, H, W), the encoder's input.
            attention: (K, heads, H, W).
            fpn: (B, C, ...) features of the backbone at strides 16, 8 and 4.
            photo: (K,), the index of each map's photo in the batch.
        """
        x = self._first_layer(projected, attention, photo)  # (K, D + heads, H, W)
        x = F.relu(self.gn1(x), inplace=True)
        x = F.relu(self.gn2(self.lay2(x)), inplace=True)
        x = _upsample_and_add(x, self.adapter1(fpn[0]), photo)  # (K, D/2, stride 16)
        x = F.relu(self.gn3(self.lay3(x)), inplace=True)
        x = _upsample_and_add(x, self.adapter2(fpn[1]), photo)  # (K, D/4, stride 8)
        x = F.relu(self.gn4(self.lay4(x)), inplace=True)
        x = _upsample_and_add(x, self.adapter3(fpn[2]), photo)  # (K, D/8, stride 4)
        x = F.relu(self.gn5(self.lay5(x)), inplace=True)
        logits: Tensor = self.out_lay(x)[:, 0]
        return logits

    def _first_layer(self, projected: Tensor, attention: Tensor, photo: Tensor) -> Tensor:
        """Convolve the concatenation of features and attention maps.

        This is the sum of a convolution of the features and a convolution of the maps. The features
        are the same for all queries of a photo, so they are convolved once per photo.
        """
        split = [projected.shape[1], attention.shape[1]]
        of_features, of_attention = torch.split(self.lay1.weight, split, dim=1)
        shared = F.conv2d(projected, of_features, self.lay1.bias, padding=1).contiguous()
        return shared.index_select(0, photo) + F.conv2d(attention, of_attention, padding=1)


def _layer(channels: int, out: int) -> tuple[nn.Conv2d, nn.GroupNorm]:
    return nn.Conv2d(channels, out, 3, padding=1), nn.GroupNorm(8, out)


def _upsample_and_add(x: Tensor, level: Tensor, photo: Tensor) -> Tensor:
    """Upsample `x` (K, C, h, w) to the size of `level` (B, C, H, W) and add `level[photo]`.

    Unlike indexing, index_select sums gradients in a fixed order.
    """
    upsampled = F.interpolate(x, size=level.shape[-2:], mode="nearest")
    # contiguous, because each following operation would copy the backbone's channels-last layout
    upsampled += level.contiguous().index_select(0, photo)
    return upsampled
