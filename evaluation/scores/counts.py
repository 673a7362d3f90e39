"""Hits, false alarms and missed segments by photo, category and size, and the quality of sums.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.2: PQ = SQ · RQ for each category.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from evaluation.scores.bootstrap import FEW_PHOTOS, Floats
from evaluation.scores.matching import PhotoMatch

SIZES = ("small", "medium", "large")
SIZE_LIMITS = (32**2, 96**2)  # pixels; COCO's
NEAR_IOU = 0.3  # above it, a missed segment was nearly a hit


@dataclass(frozen=True)
class SegmentCounts:
    """Sums over segments, of shape (..., C) for C categories.

    `iou` is the sum of the IoUs of the hits. `near` counts the missed segments that a false alarm
    of their category covers with an IoU above NEAR_IOU.
    """

    iou: Floats
    tp: Floats
    fp: Floats
    fn: Floats
    near: Floats

    def weighted(self, weights: Floats) -> SegmentCounts:
        """Return sums (R, ...) over N photos, the first dimension, with weights (R, N)."""
        return SegmentCounts(*(np.tensordot(weights, a, 1) for a in vars(self).values()))

    def total(self) -> SegmentCounts:
        """Return the sums over the first dimension."""
        return SegmentCounts(*(array.sum(0) for array in vars(self).values()))

    def of_size(self, size: int | None) -> SegmentCounts:
        """Return the counts of one of SIZES, which are the last dimension; None: of all sizes."""
        arrays = vars(self).values()
        return SegmentCounts(*(a.sum(-1) if size is None else a[..., size] for a in arrays))

    def photos(self) -> NDArray[np.int64]:
        """Return in the truth of how many of N photos each of C categories is: (N, C) to (C,)."""
        return np.asarray((self.tp + self.fn > 0).sum(0))

    def rare(self) -> NDArray[np.bool_]:
        """Whether each of C categories is in the truth of few of N photos: (N, C) to (C,)."""
        photos = self.photos()
        return np.asarray((photos > 0) & (photos < FEW_PHOTOS))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether a category occurs: (..., C) bool."""
        return np.asarray(self.tp + self.fp + self.fn > 0)

    @property
    def sq(self) -> Floats:
        """Segmentation quality, the mean IoU of the hits; 0 without hits."""
        return np.asarray(self.iou / np.where(self.tp > 0, self.tp, 1))

    @property
    def rq(self) -> Floats:
        """Recognition quality, the F1 score of the hits; 0 without segments."""
        return np.asarray(self.tp / np.where(self.present, self._weight, 1))

    @property
    def pq(self) -> Floats:
        """Panoptic quality; 0 without segments."""
        return np.asarray(self.iou / np.where(self.present, self._weight, 1))

    @property
    def _weight(self) -> Floats:
        return np.asarray(self.tp + (self.fp + self.fn) / 2)

    def means(self, chosen: Sequence[bool]) -> GroupMeans:
        """Average over those of the chosen categories that occur; NaN if none does."""
        some = np.array(chosen, bool)
        weights = self.present & some
        n = weights.sum(-1)
        share = weights / np.where(n > 0, n, np.nan)[..., None]
        pq, sq, rq = ((quality * share).sum(-1) for quality in (self.pq, self.sq, self.rq))
        return GroupMeans(pq, sq, rq, n)


@dataclass(frozen=True)
class GroupMeans:
    """PQ, SQ and RQ (...), averaged over the `n` categories that occur; NaN if none does."""

    pq: Floats
    sq: Floats
    rq: Floats
    n: NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """One hit, false alarm or missed segment: what it adds to the fields of SegmentCounts.

    `size` is a position in SIZES: that of the true segment, or of a false alarm's own pixels.
    """

    category_id: int
    size: int
    added: tuple[float, float, float, float, float]


def count_photo(match: PhotoMatch) -> Iterator[Counted]:
    """Yield the hits, false alarms and missed segments of a photo; sizes are pixels of the PNGs."""
    true_areas, areas = match.overlaps.true_areas, match.overlaps.predicted_areas
    for pair in match.tp:
        size = size_of(true_areas[pair.truth.id])
        yield Counted(pair.truth.category_id, size, (pair.iou, 1, 0, 0, 0))
    for segment in match.fp:
        yield Counted(segment.category_id, size_of(areas[segment.id]), (0, 0, 1, 0, 0))
    for segment in match.fn:
        size, near = size_of(true_areas[segment.id]), is_near(segment, match)
        yield Counted(segment.category_id, size, (0, 0, 0, 1, near))


def size_of(area: int) -> int:
    """Return the position in SIZES of a segment with so many pixels."""
    return sum(area >= limit for limit in SIZE_LIMITS)


def is_near(missed: Segment, match: PhotoMatch) -> bool:
    """Whether a false alarm of its category covers a missed segment with IoU above NEAR_IOU."""
    return any(
        other.category_id == missed.category_id
        and (missed.id, other.id) in match.overlaps.shared
        and match.overlaps.iou(missed.id, other.id) > NEAR_IOU
        for other in match.fp
    )


def count_segments(matches: Sequence[PhotoMatch], categories: Sequence[Category]) -> SegmentCounts:
    """Count the segments of N photos by category of the ground truth and size: (N, C, 3)."""
    row = {category.id: number for number, category in enumerate(categories)}
    counts = np.zeros(
        (len(SegmentCounts.__match_args__), len(matches), len(categories), len(SIZES))
    )
    for photo, match in enumerate(matches):
        for each in count_photo(match):
            counts[:, photo, row[each.category_id], each.size] += each.added
    return SegmentCounts(*counts)
