"""Panoptic quality.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.2: PQ = SQ · RQ, computed for each
category over the whole set and then averaged over the categories that occur.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conversion.coco.categories import Category
from evaluation.scores.matching import PhotoMatch


@dataclass(frozen=True)
class CategoryQuality:
    """Scores of one category, in 0..1, and its numbers of segments."""

    pq: float
    sq: float
    rq: float
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class MeanQuality:
    """Scores averaged over the `n` categories that occur in the ground truth or the prediction."""

    pq: float
    sq: float
    rq: float
    n: int


@dataclass(frozen=True)
class PanopticQuality:
    """Means over all categories, over things and over stuff, and each category by name."""

    all: MeanQuality
    things: MeanQuality
    stuff: MeanQuality
    categories: dict[str, CategoryQuality]


def panoptic_quality(
    matches: Iterable[PhotoMatch], categories: Sequence[Category]
) -> PanopticQuality:
    """Compute the panoptic quality of matched photos for the categories of the ground truth."""
    iou_sum: defaultdict[int, float] = defaultdict(float)
    tp: Counter[int] = Counter()
    fp: Counter[int] = Counter()
    fn: Counter[int] = Counter()
    for match in matches:
        for pair in match.tp:
            iou_sum[pair.truth.category_id] += pair.iou
            tp[pair.truth.category_id] += 1
        fp.update(segment.category_id for segment in match.fp)
        fn.update(segment.category_id for segment in match.fn)
    by_id = {
        c.id: _category_quality(iou_sum[c.id], tp[c.id], fp[c.id], fn[c.id]) for c in categories
    }
    things = [by_id[c.id] for c in categories if c.isthing]
    stuff = [by_id[c.id] for c in categories if not c.isthing]
    return PanopticQuality(
        all=_mean([*things, *stuff]),
        things=_mean(things),
        stuff=_mean(stuff),
        categories={c.name: by_id[c.id] for c in categories},
    )


def _category_quality(iou_sum: float, tp: int, fp: int, fn: int) -> CategoryQuality:
    sq = iou_sum / tp if tp else 0.0
    rq = tp / (tp + fp / 2 + fn / 2) if tp else 0.0
    return CategoryQuality(sq * rq, sq, rq, tp, fp, fn)


def _mean(qualities: Sequence[CategoryQuality]) -> MeanQuality:
    present = [q for q in qualities if q.tp + q.fp + q.fn]
    n = len(present)
    if not n:
        return MeanQuality(0.0, 0.0, 0.0, 0)
    return MeanQuality(
        pq=sum(q.pq for q in present) / n,
        sq=sum(q.sq for q in present) / n,
        rq=sum(q.rq for q in present) / n,
        n=n,
    )
