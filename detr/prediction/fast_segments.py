"""From the queries of `FastDETR` to the segments and instances of one photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from conversion.coco.categories import Category
from conversion.coco.png import SegmentIds
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.kinds import kinds_of
from detr.model.fast.masks import mask_logits
from detr.model.fast.output import FastOutput
from detr.model.fast.sizes import canvas_size
from detr.prediction.postprocess import Region

SMALLEST = 9  # pixels of a segment
VISIBLE = 0.5  # share of its mask that a thing must keep; what keeps less is dropped
STUFF = 0.5  # by which the presence of stuff is multiplied where it competes with things
# least probability of a mask that a pixel belongs to; where stuff is predicted, nearly every pixel
# belongs to something, and those between two segments to the likelier one
LEAST_WITH_STUFF, LEAST_WITHOUT = 0.25, 0.5


@dataclass(frozen=True)
class FastThresholds:
    """Least score of a thing and least presence of stuff; `by_category` id takes precedence."""

    things: float = 0.2
    stuff: float = 0.5
    by_category: Mapping[int, float] = field(default_factory=dict)

    def of(self, category: Category) -> float:
        """Return the threshold of a category."""
        return self.by_category.get(category.id, self.things if category.isthing else self.stuff)


@dataclass(frozen=True)
class FastCandidate:
    """What one query found, with the `mask` (h, w) logits of stride 4 and the box (4,)."""

    category: Category
    score: float
    mask: Tensor
    cxcywh_norm: Tensor


@dataclass(frozen=True)
class FastInstance:
    """One thing with its mask (H, W) bool and its box in pixels of the photo."""

    category: Category
    score: float
    mask: NDArray[np.bool_]
    xywh: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Photo:
    """A photo's size and its size as the model saw it, each (height, width)."""

    size: tuple[int, int]
    seen: tuple[int, int]


@torch.no_grad()
def find_candidates(
    output: FastOutput, photo: int, classes: ClassTable, *, most: int = 100
) -> list[FastCandidate]:
    """What the queries of photo `photo` of a batch found: at most `most` things, then all stuff.

    A thing's score is its class score times the mean probability within its mask. Things come in
    the order of their class scores.
    """
    last, kinds = output.layers[-1], kinds_of(classes)
    things = last.logits.shape[1]
    own = last.logits[photo, : output.num_queries[photo]].sigmoid()  # (Q, things)
    # without thing categories there are no queries
    scores, best = own.max(-1) if own.numel() else (own.flatten(), own.flatten().long())
    order = scores.argsort(descending=True)[:most]
    query = torch.cat([order, things + torch.arange(len(kinds.stuff), device=order.device)])
    boxes = last.cxcywh_norm[photo, query]
    masks = mask_logits(
        last.mask_embeddings[photo, query],
        output.pixels[photo],
        cxcywh_norm=boxes,
        size=output.sizes[photo],
    )
    values = torch.cat(
        [scores[order] * _certainty(masks[: len(order)]), last.presence[photo].sigmoid()]
    )
    labels = [kinds.things[number] for number in best[order].tolist()] + list(kinds.stuff)
    return [
        FastCandidate(_category(classes, label), score, mask, box)
        for label, score, mask, box in zip(labels, values.tolist(), masks, boxes, strict=True)
    ]


def merge_candidates(
    candidates: list[FastCandidate],
    thresholds: FastThresholds,
    *,
    seen: tuple[int, int],
    size: tuple[int, int],
) -> tuple[SegmentIds, list[Region]]:
    """(H, W) uint32 segment ids 1, 2, ... and their regions, whose members are candidates.

    `size` is that of the photo, `seen` its size as the model saw it, both (height, width). Each
    pixel goes to the segment with the highest score times probability. Things of which less than
    half remains and segments of a few pixels are dropped, and their pixels go to the others.
    """
    photo = _Photo(size, seen)
    kept = [i for i, c in enumerate(candidates) if c.score > thresholds.of(c.category)]
    first = _share_out([candidates[i] for i in kept], photo)
    visible = zip(kept, first.areas, first.sure_areas, first.mask_areas, strict=True)
    kept = [
        index
        for index, area, sure, whole in visible
        if area >= SMALLEST
        and (not candidates[index].category.isthing or sure > max(SMALLEST - 1, VISIBLE * whole))
    ]
    final = _share_out([candidates[i] for i in kept], photo)
    shown = [number for number, area in enumerate(final.areas) if area]
    ids = np.zeros(len(kept) + 1, np.uint32)  # the last one is void, which numpy finds at -1
    ids[shown] = np.arange(1, len(shown) + 1)
    regions = [
        Region(candidates[i].category, min(1.0, candidates[i].score), (i,))
        for i in (kept[number] for number in shown)
    ]
    return ids[final.owner], regions


def to_instance(
    candidate: FastCandidate,
    *,
    seen: tuple[int, int],
    size: tuple[int, int],
    boxes: Literal["queries", "masks"] = "queries",
) -> FastInstance:
    """One candidate at the `size` of its photo, with the box of its query or of its mask."""
    height, width = size
    mask = (_grow(candidate.mask[None], _Photo(size, seen))[0] > 0).numpy()
    found = _box_of(mask) if boxes == "masks" else None
    if found is None:
        x, y, w, h = norm_to_pixels(
            candidate.cxcywh_norm.cpu(), width=width, height=height
        ).tolist()
        found = (x, y, w, h)
    return FastInstance(candidate.category, min(1.0, candidate.score), mask, found)


def _category(classes: ClassTable, label: int) -> Category:
    category = classes.category(label)
    assert category is not None, "kinds hold classes with a category only"
    return category


def _certainty(logits: Tensor) -> Tensor:
    """(K,) mean probability within each mask of (K, h, w) logits; 0 for empty masks."""
    chance = logits.sigmoid().flatten(1)
    inside = (chance > 0.5).float()
    return (chance * inside).sum(1) / inside.sum(1).clamp(min=1)


def _grow(masks: Tensor, photo: _Photo) -> Tensor:
    """Logits (K, h, w) of stride 4 on the canvas to (K, H, W), on the CPU."""
    (height, width), canvas = photo.size, canvas_size(photo.seen)
    whole = [
        max(full, round(large * full / small))
        for large, full, small in zip(canvas, photo.size, photo.seen, strict=True)
    ]
    grown = F.interpolate(masks[None].float().cpu(), size=whole, mode="bilinear")[0]
    return grown[:, :height, :width]


@dataclass(frozen=True)
class _Shares:
    """Which candidate each pixel of (H, W) goes to, -1 void; and areas of each candidate."""

    owner: NDArray[np.int64]
    areas: list[int]  # of its pixels
    sure_areas: list[int]  # of those that its mask holds
    mask_areas: list[int]  # of its mask


def _share_out(candidates: list[FastCandidate], photo: _Photo) -> _Shares:
    """Give each pixel to the candidate with the highest score times probability."""
    stuff = any(not c.category.isthing for c in candidates)
    least = LEAST_WITH_STUFF if stuff else LEAST_WITHOUT
    highest, chance_of_owner = torch.zeros(2, *photo.size)
    owner = torch.full(photo.size, -1, dtype=torch.int64)
    mask_areas = []
    for index, (candidate, chance) in enumerate(_chances(candidates, photo)):
        mask_areas.append(int((chance > 0.5).sum()))
        value = chance * candidate.score * (1 if candidate.category.isthing else STUFF)
        better = value > highest
        highest = torch.where(better, value, highest)
        chance_of_owner = torch.where(better, chance, chance_of_owner)
        owner.masked_fill_(better, index)
    owner.masked_fill_(chance_of_owner < least, -1)
    count = len(candidates)
    sure = owner[chance_of_owner > 0.5]
    return _Shares(owner.numpy(), _areas(owner, count), _areas(sure, count), mask_areas)


def _chances(
    candidates: list[FastCandidate], photo: _Photo
) -> Iterator[tuple[FastCandidate, Tensor]]:
    """Each candidate with its probability (H, W) at each pixel, one at a time."""
    for candidate in candidates:
        yield candidate, _grow(candidate.mask[None], photo)[0].sigmoid()


def _areas(owner: Tensor, count: int) -> list[int]:
    """Pixels of each of `count` candidates."""
    areas: list[int] = torch.bincount(owner[owner >= 0].flatten(), minlength=count).tolist()
    return areas


def _box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """The xywh box around a mask (H, W); None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y
