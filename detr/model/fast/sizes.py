"""Photos of different sizes in one batch, each computed as if it were alone.

Convolutions read beyond the border of a photo. If a small photo were padded to the size of a large
one, its features would depend on the amount of padding, which is no longer zero after the first
layers. Each photo is therefore padded only to a multiple of the coarsest stride; photos of equal
padded size go through the convolutions together, other sizes one after another. Their features
are then padded and stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.data.padded import Padded

STRIDE = 32  # the coarsest; photos are padded to a multiple of it
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Group:
    """Photos of one canvas size: their indices in the batch, and their features (b, C, h, w)."""

    indices: tuple[int, ...]
    features: list[Tensor]


def photo_sizes(padding: Tensor) -> tuple[Size, ...]:
    """Return height and width of each photo of (B, H, W) bool padding."""
    visible = ~padding
    heights, widths = visible.any(2).sum(1), visible.any(1).sum(1)
    rows = torch.stack([heights, widths], 1).tolist()
    return tuple((height, width) for height, width in rows)


def canvas_size(size: Size) -> Size:
    """Return the size of a photo padded to a multiple of 32 pixels."""
    height, width = (-(-side // STRIDE) * STRIDE for side in size)
    return height, width


def compute_groups(
    images: Padded, sizes: Sequence[Size], compute: Callable[[Tensor], list[Tensor]]
) -> list[Group]:
    """Group photos by canvas size and apply `compute`, images (b, 3, h, w) to features, to each."""
    members: dict[Size, list[int]] = {}
    for index, size in enumerate(sizes):
        members.setdefault(canvas_size(size), []).append(index)
    groups = []
    for canvas, indices in members.items():
        values = images.values if len(members) == 1 else images.values[indices]
        values = _fit(values, canvas)
        if any(sizes[index] != canvas for index in indices):
            values = values.masked_fill(_outside([sizes[i] for i in indices], values), 0)
        groups.append(Group(tuple(indices), compute(values)))
    return groups


def stack(groups: Sequence[Group], number: int) -> Tensor:
    """Stack feature map `number` of all photos (B, C, H, W), zero-padded to the largest."""
    parts = [group.features[number] for group in groups]
    if len(parts) == 1:
        return parts[0]
    height, width = (max(part.shape[side] for part in parts) for side in (2, 3))
    padded = [F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2])) for x in parts]
    order = torch.tensor([index for group in groups for index in group.indices])
    return torch.cat(padded).index_select(0, order.argsort().to(parts[0].device))


def separate(groups: Sequence[Group], number: int) -> tuple[Tensor, ...]:
    """Return feature map `number` of each photo, (C, h, w) without stacking.

    Indexing a batch photo by photo would allocate a gradient of the whole batch for every photo;
    `unbind` allocates it once.
    """
    found: dict[int, Tensor] = {}
    for group in groups:
        found |= zip(group.indices, group.features[number].unbind(), strict=True)
    return tuple(found[index] for index in range(len(found)))


def _fit(values: Tensor, canvas: Size) -> Tensor:
    """Crop or pad (B, C, H, W) to the canvas, at the right and bottom."""
    missing = [wanted - side for wanted, side in zip(canvas, values.shape[-2:], strict=True)]
    return F.pad(values, (0, missing[1], 0, missing[0])) if any(missing) else values


def _outside(sizes: Sequence[Size], values: Tensor) -> Tensor:
    """Return (B, 1, H, W) bool, True outside photos of these sizes."""
    height, width = values.shape[-2:]
    limits = torch.tensor(sizes, device=values.device)
    rows = torch.arange(height, device=values.device) >= limits[:, :1]  # (B, H)
    columns = torch.arange(width, device=values.device) >= limits[:, 1:]  # (B, W)
    return (rows[:, :, None] | columns[:, None])[:, None]
