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
    """Means over all categories, over things and over stuff, and each category by `row_names`."""

    all: MeanQuality
    things: MeanQuality
    stuff: MeanQuality
    categories: dict[str, CategoryQuality]


class QualitySums:
    """Sums over matched photos, by category, from which panoptic quality is computed."""

    def __init__(self) -> None:
        self._iou: defaultdict[int, float] = defaultdict(float)
        self._tp: Counter[int] = Counter()
        self._fp: Counter[int] = Counter()
        self._fn: Counter[int] = Counter()

    def add(self, match: PhotoMatch) -> None:
        """Add a photo."""
        for pair in match.tp:
            self._iou[pair.truth.category_id] += pair.iou
            self._tp[pair.truth.category_id] += 1
        self._fp.update(segment.category_id for segment in match.fp)
        self._fn.update(segment.category_id for segment in match.fn)

    def __add__(self, other: QualitySums) -> QualitySums:
        """Return the sums over the photos of both."""
        both = QualitySums()
        for part in (self, other):
            for category_id, iou in part._iou.items():
                both._iou[category_id] += iou
            both._tp.update(part._tp)
            both._fp.update(part._fp)
            both._fn.update(part._fn)
        return both

    def quality(self, categories: Sequence[Category]) -> PanopticQuality:
        """Compute the panoptic quality for the categories of the ground truth."""
        by_id = {c.id: self._of_category(c.id) for c in categories}
        things = [by_id[c.id] for c in categories if c.isthing]
        stuff = [by_id[c.id] for c in categories if not c.isthing]
        return PanopticQuality(
            all=_mean([*things, *stuff]),
            things=_mean(things),
            stuff=_mean(stuff),
            categories={
                name: by_id[category.id]
                for name, category in zip(row_names(categories), categories, strict=True)
            },
        )

    def _of_category(self, category_id: int) -> CategoryQuality:
        tp, fp, fn = (counts[category_id] for counts in (self._tp, self._fp, self._fn))
        sq = self._iou[category_id] / tp if tp else 0.0
        rq = tp / (tp + fp / 2 + fn / 2) if tp else 0.0
        return CategoryQuality(sq * rq, sq, rq, tp, fp, fn)


def row_names(categories: Sequence[Category]) -> list[str]:
    """Return the name of each category; those that share a name have their id added."""
    names = Counter(category.name for category in categories)
    return [c.name if names[c.name] == 1 else f"{c.name} ({c.id})" for c in categories]


def panoptic_quality(
    matches: Iterable[PhotoMatch], categories: Sequence[Category]
) -> PanopticQuality:
    """Compute the panoptic quality of matched photos for the categories of the ground truth."""
    sums = QualitySums()
    for match in matches:
        sums.add(match)
    return sums.quality(categories)


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
