"""What each kind of error costs in panoptic quality.

The gap 1 - PQ is divided among the kinds by Shapley values (Shapley, "A value for n-person games",
1953): the price of a kind is the mean gain of fixing it, over all orders in which the kinds could
be fixed. The prices therefore add up to the gap. They are computed from counts per category, and
PQ is a mean over categories, so they are also known for each category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from conversion.coco.categories import Category
from evaluation.errors.kinds import KINDS, Error
from evaluation.scores.bootstrap import Floats
from evaluation.scores.counts import count_segments
from evaluation.scores.matching import PhotoMatch

_OUTLINE = KINDS.index("outline")


@dataclass(frozen=True)
class Prices:
    """Prices of the kinds of errors in panoptic quality, 0..1, of one or several sets of photos.

    `by_category` (..., C, K) has a row per category and a column per kind of `KINDS`; its sum is
    1 - `pq`. `alone` (..., K) is the gain in PQ if only this kind were fixed.
    """

    pq: Floats  # (...)
    by_category: Floats
    alone: Floats


@dataclass(frozen=True)
class Counts:
    """The counts of C categories, and how fixing each of K kinds would change them.

    The arrays may have leading dimensions, such as one for photos.
    """

    iou: Floats  # (..., C) sum of the IoUs of hits
    tp: Floats  # (..., C)
    fp: Floats
    fn: Floats
    fp_fixed: Floats  # (..., C, K) false alarms that would vanish
    fn_fixed: Floats  # (..., C, K) missed segments that would become hits
    iou_fixed: Floats  # (..., C, K) sum of their IoUs

    def weighted(self, weights: Floats) -> Counts:
        """Return sums (R, ...) over N photos with weights (R, N)."""
        arrays = (np.tensordot(weights, array, 1) for array in vars(self).values())
        return Counts(*arrays)


def count_errors(
    matches: Sequence[PhotoMatch],
    errors: Sequence[Sequence[Error]],
    categories: Sequence[Category],
) -> Counts:
    """Count hits and errors by photo, category and kind: (N, C) and (N, C, K).

    `errors` are those of each photo, and `categories` those of the ground truth. A fixed segment
    has the IoU of its pair if only its category was wrong, and otherwise the SQ of its category.
    """
    index = {category.id: number for number, category in enumerate(categories)}
    shape = (len(matches), len(categories))
    found = count_segments(matches, categories).of_size(None)
    fp_fixed, fn_fixed, own_iou, typical = (np.zeros((*shape, len(KINDS))) for _ in range(4))
    for photo, of_photo in enumerate(errors):
        for error in of_photo:
            kind = KINDS.index(error.kind)
            if error.prediction is not None:
                category = index[error.prediction.category_id]
                fp_fixed[photo, category, kind] += 1
            if error.truth is not None:
                category = index[error.truth.category_id]
                fn_fixed[photo, category, kind] += 1
                if error.kind == "wrong category":
                    own_iou[photo, category, kind] += error.iou
                else:
                    typical[photo, category, kind] += 1
    iou_fixed = own_iou + typical * found.total().sq[:, None]
    return Counts(found.iou, found.tp, found.fp, found.fn, fp_fixed, fn_fixed, iou_fixed)


def price_counts(counts: Counts) -> Prices:
    """Divide the gap among the kinds.

    Categories without segments have no price. If fixing leaves a category without segments, it
    counts as perfect. Kinds that cost nothing are left out of the subsets, because each kind
    doubles their number; the prices of the other kinds are the same without them.
    """
    kinds = _costly_kinds(counts)
    present = counts.tp + counts.fp + counts.fn > 0  # (..., C)
    share = present / np.maximum(1, present.sum(-1, keepdims=True))
    before = {subset: _quality(counts, subset) * share for subset in _subsets(kinds)}
    gains = np.zeros((*present.shape, len(KINDS)))
    pq = before[()].sum(-1)
    alone = np.zeros((*pq.shape, len(KINDS)))
    for kind in kinds:
        alone[..., kind] = before[(kind,)].sum(-1) - pq
        for subset, quality in before.items():
            if kind not in subset:
                gain = before[tuple(sorted((*subset, kind)))] - quality
                gains[..., kind] += _weight(len(subset), len(kinds)) * gain
    return Prices(pq, gains, alone)


def _costly_kinds(counts: Counts) -> list[int]:
    """Return the kinds whose fixing changes a count."""
    fixed = [np.reshape(one, (-1, len(KINDS))) for one in (counts.fp_fixed, counts.fn_fixed)]
    costly = set(np.flatnonzero(np.concatenate(fixed).any(axis=0)).tolist())
    if (counts.iou < counts.tp).any():
        costly.add(_OUTLINE)
    return sorted(costly)


def _subsets(kinds: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for size in range(len(kinds) + 1) for subset in combinations(kinds, size)]


def _weight(size: int, kinds: int) -> float:
    """Return the share of orders of the kinds in which just a given set of `size` comes first."""
    return factorial(size) * factorial(kinds - size - 1) / factorial(kinds)


def _quality(counts: Counts, fixed: Sequence[int]) -> Floats:
    """Return the PQ (..., C) of each category after fixing some kinds.

    Outlines cost nothing where hits lose nothing by them, or where there are no hits. The fixed
    segments of such a category have an IoU of 1.
    """
    columns = list(fixed)
    added = counts.fn_fixed[..., columns].sum(-1)
    tp = counts.tp + added
    fp = counts.fp - counts.fp_fixed[..., columns].sum(-1)
    fn = counts.fn - added
    iou = counts.iou + counts.iou_fixed[..., columns].sum(-1)
    is_exact = (counts.iou >= counts.tp) | (_OUTLINE in columns)
    iou = np.where(is_exact, tp, iou)
    weight = tp + fp / 2 + fn / 2
    return np.where(weight > 0, iou / np.where(weight > 0, weight, 1), 1.0)


def share_prices(
    prices: Prices, errors: Sequence[Error], categories: Sequence[Category]
) -> list[float]:
    """Return the price of each error, so that the errors of a kind add up to its price.

    Within a category and kind, every false alarm and every missed segment costs the same.
    """
    index = {category.id: number for number, category in enumerate(categories)}
    counts = np.zeros_like(prices.by_category)
    for error in errors:
        for row in _rows(error, index):
            counts[row, KINDS.index(error.kind)] += 1
    each = prices.by_category / np.maximum(counts, 1)
    return [
        float(sum(each[row, KINDS.index(error.kind)] for row in _rows(error, index)))
        for error in errors
    ]


def _rows(error: Error, index: Mapping[int, int]) -> list[int]:
    """Return the row of each segment of an error."""
    segments = (error.truth, error.prediction)
    return [index[segment.category_id] for segment in segments if segment is not None]
