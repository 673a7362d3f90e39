"""From queries to segments: selecting queries, and assigning pixels to segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from conversion.coco.categories import Category
from conversion.coco.png import SegmentIds
from detr.data.classes import ClassTable

MIN_AREA = 5  # pixels; as published, segments of 4 or fewer are dropped


@dataclass(frozen=True)
class Detection:
    """The most probable category of a query."""

    query: int
    category: Category
    score: float
    beats_no_object: bool  # whether it is more probable than no-object


@dataclass(frozen=True)
class Candidate:
    """A detection with its mask and box."""

    detection: Detection
    mask: Tensor  # (h, w) logits
    cxcywh_norm: Tensor  # (4,)


@dataclass(frozen=True)
class Region:
    """One segment of a photo; a segment of stuff may consist of several candidates."""

    category: Category
    score: float
    members: tuple[int, ...]  # indices of its candidates


def find_detections(logits: Tensor, classes: ClassTable, *, min_score: float) -> list[Detection]:
    """Return the queries of (Q, classes + 1) logits with a best score above `min_score`."""
    probabilities = logits.softmax(-1)
    scores, best = probabilities[:, :-1].max(-1)
    beats_no_object = scores > probabilities[:, -1]
    found = []
    for query, index in enumerate(best.tolist()):
        category, score = classes.category(index), float(scores[query])
        if category is not None and score > min_score:
            found.append(Detection(query, category, score, bool(beats_no_object[query])))
    return found


def assign_pixels(
    candidates: list[Candidate], *, width: int, height: int
) -> tuple[SegmentIds, list[Region]]:
    """Assign each pixel to the candidate with the highest logit.

    Returns (H, W) uint32 segment ids 1, 2, ... and their regions. Candidates of one stuff category
    become one region. Regions that are too small are dropped, and their pixels are assigned to the
    next highest logit, until no region is too small.
    """
    regions = _regions(candidates)
    while regions:
        owner = _owner([r.members for r in regions], candidates, width=width, height=height)
        areas = np.bincount(owner.ravel(), minlength=len(regions))
        large = [r for r, area in zip(regions, areas.tolist(), strict=True) if area >= MIN_AREA]
        if len(large) == len(regions):
            return (owner + 1).astype(np.uint32), regions
        regions = large
    return np.zeros((height, width), np.uint32), []


def _regions(candidates: list[Candidate]) -> list[Region]:
    """Return one region for each thing and one for each stuff category."""
    members: dict[tuple[str, int], list[int]] = {}
    for index, candidate in enumerate(candidates):
        category = candidate.detection.category
        key = ("thing", index) if category.isthing else ("stuff", category.id)
        members.setdefault(key, []).append(index)
    regions = []
    for group in members.values():
        detections = [candidates[index].detection for index in group]
        score = max(detection.score for detection in detections)
        regions.append(Region(detections[0].category, score, tuple(group)))
    return regions


def _owner(
    groups: list[tuple[int, ...]], candidates: list[Candidate], *, width: int, height: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the (H, W) indices of the groups with the highest logit.

    To save memory, masks are enlarged one at a time.
    """
    best = torch.full((height, width), -torch.inf)
    owner = torch.zeros(height, width, dtype=torch.int64)
    for index, group in enumerate(groups):
        for member in group:
            logits = enlarge(candidates[member].mask, width=width, height=height)
            better = logits > best
            best[better], owner[better] = logits[better], index
    return owner.numpy()


def enlarge(mask: Tensor, *, width: int, height: int) -> Tensor:
    """Interpolate (h, w) logits to (H, W), and move them to the CPU."""
    enlarged = F.interpolate(mask[None, None], size=(height, width), mode="bilinear")
    return enlarged[0, 0].cpu()
