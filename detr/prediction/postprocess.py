"""From queries to segments: which are kept, and which pixel belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from conversion.coco.categories import Category
from conversion.coco.png import SegmentIds
from detr.data.classes import ClassTable

SMALLEST = 5  # pixels; published: what has 4 or fewer is dropped


@dataclass(frozen=True)
class Choice:
    """What a query says it found; `decided` where no-object is less likely than that."""

    query: int
    category: Category
    score: float
    decided: bool


@dataclass(frozen=True)
class Candidate:
    """A choice with its `mask` (h, w) logits and its box (4,)."""

    choice: Choice
    mask: Tensor
    cxcywh_norm: Tensor


@dataclass(frozen=True)
class Region:
    """One segment of the merged photo; stuff may come from several candidates."""

    category: Category
    score: float
    members: tuple[int, ...]


def choices(logits: Tensor, classes: ClassTable, *, least: float) -> list[Choice]:
    """What each query of (Q, classes + 1) logits most likely found, if above `least`."""
    probabilities = logits.softmax(-1)
    scores, best = probabilities[:, :-1].max(-1)
    decided = scores > probabilities[:, -1]
    found = []
    for query, index in enumerate(best.tolist()):
        category, score = classes.category(index), float(scores[query])
        if category is not None and score > least:
            found.append(Choice(query, category, score, bool(decided[query])))
    return found


def merge(
    candidates: list[Candidate], *, width: int, height: int
) -> tuple[SegmentIds, list[Region]]:
    """(H, W) uint32 segment ids 1, 2, ... and their regions; each pixel goes to the best mask.

    Stuff of one category becomes one region. Regions that are too small are dropped and their
    pixels go to the next best, until none is too small.
    """
    regions = _regions(candidates)
    while regions:
        owner = _owner([r.members for r in regions], candidates, width=width, height=height)
        areas = np.bincount(owner.ravel(), minlength=len(regions))
        large = [r for r, area in zip(regions, areas.tolist(), strict=True) if area >= SMALLEST]
        if len(large) == len(regions):
            return (owner + 1).astype(np.uint32), regions
        regions = large
    return np.zeros((height, width), np.uint32), []


def _regions(candidates: list[Candidate]) -> list[Region]:
    """One region a thing, one a stuff category."""
    members: dict[tuple[str, int], list[int]] = {}
    for index, candidate in enumerate(candidates):
        category = candidate.choice.category
        key = ("thing", index) if category.isthing else ("stuff", category.id)
        members.setdefault(key, []).append(index)
    return [
        Region(
            candidates[m[0]].choice.category, max(candidates[i].choice.score for i in m), tuple(m)
        )
        for m in members.values()
    ]


def _owner(
    groups: list[tuple[int, ...]], candidates: list[Candidate], *, width: int, height: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """(H, W) index of the group with the highest logit; one mask at full size at a time."""
    best = torch.full((height, width), -torch.inf)
    owner = torch.zeros(height, width, dtype=torch.int64)
    for index, group in enumerate(groups):
        for member in group:
            logits = full_size(candidates[member].mask, width=width, height=height)
            better = logits > best
            best[better], owner[better] = logits[better], index
    return owner.numpy()


def full_size(mask: Tensor, *, width: int, height: int) -> Tensor:
    """(h, w) logits to (H, W), on the CPU."""
    grown = F.interpolate(mask[None, None], size=(height, width), mode="bilinear")
    return grown[0, 0].cpu()
