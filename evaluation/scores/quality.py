"""Panoptic quality.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.2: PQ = SQ · RQ, computed for each
category over the whole set and then averaged over the categories that occur.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from conversion.coco.categories import Category
from evaluation.scores.bootstrap import Floats
from evaluation.scores.counts import GroupMeans, SegmentCounts, count_photo, count_segments
from evaluation.scores.matching import PhotoMatch


@dataclass(frozen=True)
class CategoryQuality:
    """Scores of one category, in 0..1, and its numbers of segments.

    `near` counts those of the missed segments that were nearly hits, as in `SegmentCounts`.
    """

    pq: float
    sq: float
    rq: float
    tp: int
    fp: int
    fn: int
    near: int


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
        self._sums: defaultdict[int, Floats] = defaultdict(_nothing)  # by category id

    def add(self, match: PhotoMatch) -> None:
        """Add a photo."""
        for each in count_photo(match):
            self._sums[each.category_id] += each.added

    def __add__(self, other: QualitySums) -> QualitySums:
        """Return the sums over the photos of both."""
        both = QualitySums()
        for part in (self, other):
            for category_id, sums in part._sums.items():
                both._sums[category_id] += sums
        return both

    def quality(self, categories: Sequence[Category]) -> PanopticQuality:
        """Compute the panoptic quality for the categories of the ground truth."""
        sums = [self._sums.get(category.id, _nothing()) for category in categories]
        return quality_of(SegmentCounts(*np.array(sums).reshape(-1, _FIELDS).T), categories)


_FIELDS = len(SegmentCounts.__match_args__)


def _nothing() -> Floats:
    return np.zeros(_FIELDS)


def quality_of(counts: SegmentCounts, categories: Sequence[Category]) -> PanopticQuality:
    """Compute the panoptic quality of counts (C,) of the categories of the ground truth."""
    columns = (counts.pq, counts.sq, counts.rq, counts.tp, counts.fp, counts.fn, counts.near)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    qualities = (
        CategoryQuality(pq, sq, rq, int(tp), int(fp), int(fn), int(near))
        for pq, sq, rq, tp, fp, fn, near in rows
    )
    means = {name: counts.means(chosen) for name, chosen in groups(categories).items()}
    return PanopticQuality(
        **{name: _mean(mean) for name, mean in means.items()},
        categories=dict(zip(row_names(categories), qualities, strict=True)),
    )


def groups(categories: Sequence[Category]) -> dict[str, list[bool]]:
    """Return whether each category belongs to `all`, `things` and `stuff`."""
    things = [category.isthing for category in categories]
    return {"all": [True] * len(things), "things": things, "stuff": [not t for t in things]}


def row_names(categories: Sequence[Category]) -> list[str]:
    """Return the name of each category; those that share a name have their id added."""
    names = Counter(category.name for category in categories)
    return [c.name if names[c.name] == 1 else f"{c.name} ({c.id})" for c in categories]


def panoptic_quality(
    matches: Iterable[PhotoMatch], categories: Sequence[Category]
) -> PanopticQuality:
    """Compute the panoptic quality of matched photos for the categories of the ground truth."""
    return quality_of(count_segments(tuple(matches), categories).of_size(None).total(), categories)


def _mean(means: GroupMeans) -> MeanQuality:
    n = int(means.n)
    pq, sq, rq = (float(value) if n else 0.0 for value in (means.pq, means.sq, means.rq))
    return MeanQuality(pq, sq, rq, n)
