"""Conversion of the queries of `FastDETR` to the segments and instances of one photo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conversion.coco.categories import Category
from conversion.coco.png import SegmentIds
from detr.data.boxes import iou_matrix, iou_pairs, norm_to_pixels, to_cxcywh
from detr.data.classes import ClassTable
from detr.data.kinds import kinds_of
from detr.model.fast.masks import mask_logits
from detr.model.fast.output import FastOutput
from detr.prediction.photo_masks import PhotoMasks
from detr.prediction.postprocess import Region
from detr.weights.thresholds import SegmentThresholds

SMALLEST = 9  # minimum number of pixels of a segment
VISIBLE = 0.5  # fraction of its mask of which a thing must keep more, or it is dropped
STUFF = 0.5  # factor for the presence of stuff where it competes with things
# minimum mask probability of a pixel in a segment; it is lower if stuff is predicted, because then
# nearly every pixel belongs to a segment, and pixels between two belong to the more probable one
LEAST_WITH_STUFF, LEAST_WITHOUT = 0.25, 0.5
# minimum mask probability of a pixel in the box of a mask: single uncertain pixels would widen it
LEAST_IN_BOX = 0.6
SAME_THING = 0.3  # IoU of two boxes above which one of them may repeat the other


@dataclass(frozen=True)
class FastCandidate:
    """The prediction of one query, with `mask` logits (h, w) at stride 4 and its box (4,)."""

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


@torch.no_grad()
def find_candidates(
    output: FastOutput, photo: int, classes: ClassTable, *, most: int = 100
) -> list[FastCandidate]:
    """Return the candidates of photo `photo` of a batch: at most `most` things, then all stuff.

    A thing's score is its class score times the mean probability within its mask; the score of
    stuff is its presence. Things are sorted by class score.
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
        [scores[order] * _mask_score(masks[: len(order)]), last.presence[photo].sigmoid()]
    )
    labels = [kinds.things[number] for number in best[order].tolist()] + list(kinds.stuff)
    return [
        FastCandidate(_category(classes, label), score, mask, box)
        for label, score, mask, box in zip(labels, values.tolist(), masks, boxes, strict=True)
    ]


def candidates_above(
    candidates: list[FastCandidate], thresholds: SegmentThresholds
) -> tuple[int, ...]:
    """Return the indices of the candidates that may become segments."""
    return tuple(i for i, c in enumerate(candidates) if c.score > thresholds.of(c.category))


def merge_candidates(
    candidates: list[FastCandidate],
    thresholds: SegmentThresholds,
    masks: PhotoMasks,
) -> tuple[SegmentIds, list[Region]]:
    """Return (H, W) uint32 segment ids 1, 2, ... and their regions, whose members are candidates.

    Each pixel is assigned to the candidate with the highest product of score and mask probability,
    which is halved for stuff. Things that keep at most half of their mask and segments of fewer
    than 9 pixels are dropped, and their pixels reassigned.
    """
    above = list(candidates_above(candidates, thresholds))
    first = _assign_pixels([candidates[i] for i in above], masks)
    visible = zip(above, first.areas, first.sure_areas, first.mask_areas, strict=True)
    kept = [
        index
        for index, area, sure, whole in visible
        if area >= SMALLEST
        and (not candidates[index].category.isthing or sure > max(SMALLEST - 1, VISIBLE * whole))
    ]
    all_kept = len(kept) == len(above)
    final = first if all_kept else _assign_pixels([candidates[i] for i in kept], masks)
    shown = [number for number, area in enumerate(final.areas) if area]
    ids = np.zeros(len(kept) + 1, np.uint32)  # the last one is void, at index -1
    ids[shown] = np.arange(1, len(shown) + 1)
    regions = [
        Region(candidates[i].category, min(1.0, candidates[i].score), (i,))
        for i in (kept[number] for number in shown)
    ]
    return ids[final.owner], regions


def to_instance(candidate: FastCandidate, masks: PhotoMasks) -> FastInstance:
    """Return a candidate at the size of its photo.

    Each side of its box is the mean of those of its query and of its mask, whose errors differ. The
    better the two boxes agree, the higher is its score. On held-out photos of yard, the former
    lifted the box AP of four runs by 3.6 to 5.6 points, the latter box and mask AP by up to 1.6.
    """
    height, width = masks.size
    probability = masks.probability(candidate.mask)
    mask = (probability > 0.5).numpy()
    of_query = norm_to_pixels(candidate.cxcywh_norm.cpu(), width=width, height=height)
    of_mask = torch.tensor(_box_of((probability > LEAST_IN_BOX).numpy()) or of_query.tolist())
    agreement = iou_pairs(to_cxcywh(of_query), to_cxcywh(of_mask)).item()
    score = min(1.0, candidate.score) * agreement**0.5
    x, y, w, h = ((of_query + of_mask) / 2).tolist()
    return FastInstance(candidate.category, score, mask, (x, y, w, h))


def lower_repeated(instances: list[FastInstance]) -> list[FastInstance]:
    """Return instances with lower scores if they repeat a better one, the highest score first.

    Several queries may find the same thing. As segments, they compete for its pixels; as instances,
    they would all be false alarms but one. Linear Soft-NMS: the score of an instance is multiplied
    by 1 - IoU for each better one of its category whose box overlaps its own by more than 0.3
    (Bodla et al., "Soft-NMS - Improving Object Detection With One Line of Code", ICCV 2017). On 100
    photos of yard rendered with seed 101, box and mask AP of a run of an hour rose by 6 points.
    """
    if not instances:
        return []
    numbers = torch.tensor([one.category.id for one in instances])
    overlaps = iou_matrix(torch.tensor([one.xywh for one in instances]))
    overlaps[~(overlaps > SAME_THING) | (numbers[:, None] != numbers)] = 0
    scores = torch.tensor([one.score for one in instances], dtype=torch.float64)
    left, ordered = torch.ones(len(instances), dtype=torch.bool), list[FastInstance]()
    for _ in instances:
        best = int(scores.where(left, -1).argmax())
        left[best] = False
        ordered.append(replace(instances[best], score=float(scores[best])))
        scores[left] *= 1 - overlaps[best, left]
    return ordered


def _category(classes: ClassTable, label: int) -> Category:
    category = classes.category(label)
    assert category is not None, "kinds contain only classes with a category"
    return category


def _mask_score(logits: Tensor) -> Tensor:
    """Return the mean probability (K,) within each mask of (K, h, w) logits; 0 if it is empty."""
    probability = logits.sigmoid().flatten(1)
    inside = (probability > 0.5).float()
    return (probability * inside).sum(1) / inside.sum(1).clamp(min=1)


@dataclass(frozen=True)
class _Assignment:
    """The candidate of each pixel (H, W), -1 for void, and the areas of each candidate."""

    owner: NDArray[np.int16]
    areas: list[int]  # of the pixels assigned to it
    sure_areas: list[int]  # of those within its mask
    mask_areas: list[int]  # of its whole mask


def _assign_pixels(candidates: list[FastCandidate], masks: PhotoMasks) -> _Assignment:
    """Assign each pixel to the candidate with the highest product of score and probability."""
    stuff = any(not c.category.isthing for c in candidates)
    least = LEAST_WITH_STUFF if stuff else LEAST_WITHOUT
    highest, owner_probability = torch.zeros(2, *masks.size)
    owner = torch.full(masks.size, -1, dtype=torch.int16)
    mask_areas = []
    for index, candidate in enumerate(candidates):  # to hold only one mask in memory
        probability = masks.probability(candidate.mask)
        mask_areas.append(int((probability > 0.5).sum()))
        value = probability * candidate.score * (1 if candidate.category.isthing else STUFF)
        better = value > highest
        highest = torch.maximum(highest, value)
        owner_probability = torch.where(better, probability, owner_probability)
        owner.masked_fill_(better, index)
    owner.masked_fill_(owner_probability < least, -1)
    count = len(candidates)
    sure = owner[owner_probability > 0.5]
    return _Assignment(owner.numpy(), _areas(owner, count), _areas(sure, count), mask_areas)


def _areas(owner: Tensor, count: int) -> list[int]:
    """Return the number of pixels of each of `count` candidates."""
    areas: list[int] = torch.bincount(owner[owner >= 0].flatten(), minlength=count).tolist()
    return areas


def _box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Return the xywh box around a mask (H, W); None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y
