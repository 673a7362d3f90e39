"""The mask head: where each query's segment lies, from its attention and the backbone's features.

The head runs on chosen queries only: those that were matched in training, those that are kept in
prediction. No layer mixes queries, so each mask is the same as with all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.kernels.layers import Linear
from detr.model.detr import DETR, Output

AT_ONCE = 32  # queries whose activations are in memory together when all masks are wanted


class DETRsegm(nn.Module):
    """DETR with a mask head; module names as published."""

    def __init__(self, detr: DETR, config: TrainConfig) -> None:
        super().__init__()
        dim, heads = config.hidden_dim, config.nheads
        self.detr = detr
        self.bbox_attention = MHAttentionMap(dim, heads)
        self.mask_head = MaskHeadSmallConv(dim + heads, detr.channels[-2::-1], dim)
        self.mask_head.listen_to_attention(heads)

    def masks(self, output: Output, photo: Tensor, query: Tensor) -> Tensor:
        """Mask logits (K, H/4, W/4) of the K queries `query` of the photos `photo`, both (K,)."""
        # features of other photos are not touched
        used, local = torch.unique(photo, return_inverse=True)
        return self.masks_of(output.of_photos(used), output.state[photo, query], local)

    def masks_of(self, output: Output, state: Tensor, photo: Tensor) -> Tensor:
        """Mask logits (K, H/4, W/4) of the decoder states (K, D) of the photos `photo`."""
        projected, fpn = output.projected, [level.values for level in output.features[-2::-1]]
        attention = self.bbox_attention(state, output.memory, projected.padding, photo)
        logits: Tensor = self.mask_head(projected.values, attention, fpn, photo)  # strides 16, 8, 4
        return logits

    def all_masks(self, output: Output) -> Tensor:
        """Mask logits (B, Q, H/4, W/4) of all queries, some at a time where no gradient is kept."""
        batch, queries = output.state.shape[:2]
        photo = torch.arange(batch, device=output.state.device).repeat_interleave(queries)
        query = torch.arange(queries, device=output.state.device).repeat(batch)
        size = len(query) if torch.is_grad_enabled() else AT_ONCE
        parts = zip(torch.split(photo, size), torch.split(query, size), strict=True)
        masks = torch.cat([self.masks(output, *part) for part in parts])
        return masks.view(batch, queries, *masks.shape[1:])


class MHAttentionMap(nn.Module):
    """How much a query looks at each place, one map a head."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.k_linear = Linear(dim, dim)
        for linear in (self.q_linear, self.k_linear):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, state: Tensor, memory: Tensor, padding: Tensor, photo: Tensor) -> Tensor:
        """State (K, D), memory (B, D, H, W), padding (B, H, W), photo (K,) to (K, heads, H, W)."""
        dim, height, width = memory.shape[1:]
        keys = self.k_linear(memory.flatten(2).transpose(1, 2))  # (B, HW, D)
        keys = keys.index_select(0, photo).unflatten(2, (self.heads, -1))  # (K, HW, heads, D/heads)
        each = dim // self.heads
        asked = self.q_linear(state).view(len(state), self.heads, each) * each**-0.5
        weights = torch.einsum("knc,kpnc->knp", asked, keys)  # (K, heads, HW)
        hidden = padding.flatten(1).index_select(0, photo)[:, None]
        weights = weights.masked_fill(hidden, float("-inf"))
        # as published, one softmax runs over all places of all heads
        return weights.flatten(1).softmax(-1).view(-1, self.heads, height, width)


class MaskHeadSmallConv(nn.Module):
    """Convolutions that grow attention maps to stride 4, with the backbone's features beside."""

    def __init__(self, dim: int, fpn_dims: tuple[int, ...], context_dim: int) -> None:
        super().__init__()
        sizes = [dim, dim, *(context_dim // shrink for shrink in (2, 4, 8, 16))]
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
    def listen_to_attention(self, heads: int) -> None:
        """Give the attention maps a say from the first step on.

        A map sums to 1 over all places of all heads, so its values are a thousand times smaller
        than the features beside it. Yet it is all that tells one query from another; as published,
        many epochs of COCO go by before it is heard.
        """
        self.lay1.weight[:, -heads:] *= 1000
        self.lay1.weight[:, :-heads] *= 0.25

    def forward(
        self, projected: Tensor, attention: Tensor, fpn: list[Tensor], photo: Tensor
    ) -> Tensor:
        """(B, D, H, W) features, (K, heads, H, W) attention to logits (K, H', W') at stride 4."""
        x = self._begin(projected, attention, photo)  # (K, D + heads, H, W)
        x = F.relu(self.gn1(x), inplace=True)
        x = F.relu(self.gn2(self.lay2(x)), inplace=True)
        x = _grow(x, self.adapter1(fpn[0]), photo)  # (K, D/2, stride 16)
        x = F.relu(self.gn3(self.lay3(x)), inplace=True)
        x = _grow(x, self.adapter2(fpn[1]), photo)  # (K, D/4, stride 8)
        x = F.relu(self.gn4(self.lay4(x)), inplace=True)
        x = _grow(x, self.adapter3(fpn[2]), photo)  # (K, D/8, stride 4)
        x = F.relu(self.gn5(self.lay5(x)), inplace=True)
        logits: Tensor = self.out_lay(x)[:, 0]
        return logits

    def _begin(self, projected: Tensor, attention: Tensor, photo: Tensor) -> Tensor:
        """The first layer over features and attention side by side.

        A convolution adds up what it makes of either, and the features are the same for all queries
        of a photo: their share is computed once a photo.
        """
        split = [projected.shape[1], attention.shape[1]]
        of_features, of_attention = torch.split(self.lay1.weight, split, dim=1)
        shared = F.conv2d(projected, of_features, self.lay1.bias, padding=1).contiguous()
        return shared.index_select(0, photo) + F.conv2d(attention, of_attention, padding=1)


def _layer(channels: int, out: int) -> tuple[nn.Conv2d, nn.GroupNorm]:
    return nn.Conv2d(channels, out, 3, padding=1), nn.GroupNorm(8, out)


def _grow(x: Tensor, beside: Tensor, photo: Tensor) -> Tensor:
    """Bring `x` (K, C, h, w) to the size of `beside` (B, C, H, W) and add each one's photo.

    index_select, unlike indexing, adds up gradients in a fixed order.
    """
    grown = F.interpolate(x, size=beside.shape[-2:], mode="nearest")
    # the backbone's channels-last would be copied at every step that follows
    grown += beside.contiguous().index_select(0, photo)
    return grown
