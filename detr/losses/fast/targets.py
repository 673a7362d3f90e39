"""Training targets of `FastDETR`: the segments of a photo in the form that the losses use.

Pixels of void, of crowds and outside the photo are unknown: predictions there are not penalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.data.kinds import Kinds
from detr.data.targets import SegmentMap
from detr.model.fast.sizes import canvas_size

SMALLEST = 16  # visible pixels; smaller segments, such as slivers at a crop's border, are unknown


@dataclass(frozen=True)
class Shares:
    """Covered fraction of each location at one stride; masks, void and outside sum to 1."""

    masks: Tensor  # (N + M, h, w) covered by each thing and stuff segment
    known: Tensor  # (h, w) covered by any of them
    void: Tensor  # (h, w) unknown within the photo: void, crowds, slivers


@dataclass(frozen=True)
class FastTarget:
    """N things and M stuff segments of one photo; in the masks, things come first."""

    size: tuple[int, int]  # height and width
    things: Tensor  # (N,) int64 indices into the thing categories
    cxcywh_norm: Tensor  # (N, 4) of the things
    stuff: Tensor  # (M,) int64 indices into the stuff categories
    presence: Tensor  # (S,) 1 for each stuff category present, else 0
    presence_weight: Tensor  # (S,) weight of its loss: how certain the presence is
    at: Mapping[int, Shares]  # by stride: 2, 4 and 8
    counts: tuple[float, float, float, float]  # normalisers, see count_targets

    @property
    def has_void(self) -> bool:
        """Whether any part of the photo is unknown."""
        height, width = self.size
        return self.counts[3] * 16 < height * width


@dataclass(frozen=True)
class _Rows:
    """The segments of a SegmentMap that each row of the masks contains."""

    things: list[int]  # one segment each
    stuff: dict[int, list[int]]  # segments by index of the stuff category
    uncertain: set[int]  # stuff categories of which only slivers are visible


def prepare_target(segments: SegmentMap, kinds: Kinds, device: torch.device) -> FastTarget:
    """Prepare the segments of one photo; `segments` must be on the CPU and have masks."""
    count = len(segments.labels)
    areas = torch.bincount(segments.indices.flatten(), minlength=count + 1)[1:].tolist()
    rows = _choose_rows(segments.labels.tolist(), areas, kinds)
    height, width = segments.size
    kept = [*rows.things, *(index for group in rows.stuff.values() for index in group)]
    known_pixels = sum(areas[index] for index in kept)
    presence, weight = torch.zeros(2, len(kinds.stuff))
    weight += known_pixels / (height * width)  # absent stuff may be in the unknown part
    weight[list(rows.uncertain)] = 0
    presence[list(rows.stuff)] = weight[list(rows.stuff)] = 1
    thing_of = {label: number for number, label in enumerate(kinds.things)}
    labels = [thing_of[int(segments.labels[index])] for index in rows.things]
    return FastTarget(
        segments.size,
        torch.tensor(labels, dtype=torch.int64).to(device),
        segments.cxcywh_norm[rows.things].to(device),
        torch.tensor(list(rows.stuff), dtype=torch.int64).to(device),
        presence.to(device),
        weight.to(device),
        _shares(segments.indices.to(device), rows, count),
        (
            float(len(rows.things)),
            float(len(rows.things) + len(rows.stuff)),
            float(weight.sum()),
            known_pixels / 16,
        ),
    )


def count_targets(targets: Sequence[FastTarget]) -> Tensor:
    """Return the normalisers (4,) float64 of the losses of these photos.

    They are the numbers of things and of segments, the sum of presence weights, and the number of
    known pixels at stride 4. Those of batches and processes add up to those of a step.
    """
    return torch.tensor([t.counts for t in targets], dtype=torch.float64).view(-1, 4).sum(0)


def _choose_rows(labels: list[int], areas: list[int], kinds: Kinds) -> _Rows:
    """Assign segments to rows; those of one stuff category share a row."""
    thing_labels = set(kinds.things)
    stuff_of = {label: number for number, label in enumerate(kinds.stuff)}
    rows = _Rows([], {}, set())
    groups: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        if label in thing_labels and areas[index] >= SMALLEST:
            rows.things.append(index)
        elif label in stuff_of:
            groups.setdefault(stuff_of[label], []).append(index)
    for number, group in sorted(groups.items()):
        if sum(areas[index] for index in group) >= SMALLEST:
            rows.stuff[number] = group
        else:
            rows.uncertain.add(number)
    return rows


def _shares(indices: Tensor, rows: _Rows, count: int) -> dict[int, Shares]:
    """Compute shares at strides 2, 4 and 8, on the canvas, from (H, W) indices of segments.

    `count` is the number of segments.
    """
    groups = [[index] for index in rows.things] + list(rows.stuff.values())
    void, outside = len(groups), len(groups) + 1
    row_of = torch.full((count + 1,), void, dtype=torch.int64)
    for row, group in enumerate(groups):
        row_of[torch.tensor(group) + 1] = row
    pixel_rows = row_of.to(indices.device)[indices.long()]  # (H, W) rows
    height, width = canvas_size((indices.shape[0], indices.shape[1]))
    missing = (0, width - indices.shape[1], 0, height - indices.shape[0])
    pixel_rows = F.pad(pixel_rows, missing, value=outside)
    shares = _count_in_squares(pixel_rows, len(groups) + 2) / 4
    found = {}
    for stride in (2, 4, 8):
        shares = shares if stride == 2 else F.avg_pool2d(shares, 2)
        masks, rest = shares[:void], shares[void:]
        found[stride] = Shares(masks, 1 - rest.sum(0), rest[0])
    return found


def _count_in_squares(rows: Tensor, count: int) -> Tensor:
    """Count the pixels of each row in each 2x2 square of (H, W): (count, H / 2, W / 2)."""
    height, width = (side // 2 for side in rows.shape)
    squares = torch.arange(height * width, device=rows.device).view(height, 1, width, 1)
    bins = rows.view(height, 2, width, 2) * (height * width) + squares
    numbers = torch.bincount(bins.flatten(), minlength=count * height * width)
    return numbers.view(count, height, width).float()
