"""Semantic segmentation scores: the IoU of the pixels of each category, and their confusion.

Every pixel has the category of its segment, crowds included. Pixels that are void in the ground
truth are ignored; pixels that are void in the prediction are errors. The figures are those of
hotcoco and mmsegmentation, with predicted void as another category that has no IoU of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category
from conversion.coco.png import VOID
from evaluation.scores.bootstrap import Floats
from evaluation.scores.matching import PhotoMatch


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of C categories in N photos.

    `confusion` (C, C + 1) counts them by true and predicted category, over all photos; the last
    column is void.
    """

    correct: Floats  # (N, C)
    true: Floats
    predicted: Floats
    confusion: NDArray[np.int64]

    @property
    def iou(self) -> Floats:
        """The IoU (C,) of each category over all photos; NaN if it has no pixels."""
        return _iou(self.correct.sum(0), self.true.sum(0), self.predicted.sum(0))

    def mean_iou(self, weights: Floats) -> Floats:
        """Return the mean IoU (R,) over categories, for photos with weights (R, N)."""
        arrays = (weights @ array for array in (self.correct, self.true, self.predicted))
        iou = _iou(*arrays)
        known = ~np.isnan(iou)
        n = np.where(known.any(-1), known.sum(-1), np.nan)
        return np.asarray(np.nansum(iou, -1) / n)


def _iou(correct: Floats, true: Floats, predicted: Floats) -> Floats:
    union = true + predicted - correct
    return np.asarray(correct / np.where(union > 0, union, np.nan))


def count_pixels(matches: Sequence[PhotoMatch], categories: Sequence[Category]) -> PixelCounts:
    """Count the pixels of matched photos by the categories of the ground truth."""
    row = {category.id: number for number, category in enumerate(categories)}
    void = len(row)
    arrays = np.zeros((3, len(matches), len(row) + 1))
    confusion = np.zeros((len(row), len(row) + 1), np.int64)
    for photo, match in enumerate(matches):
        true, predicted = (
            {VOID: void} | {s.id: row[s.category_id] for s in side.segments}
            for side in (match.truth, match.prediction)
        )
        for (true_id, predicted_id), pixels in match.overlaps.shared.items():
            if true_id != VOID:
                pair = true[true_id], predicted[predicted_id]
                confusion[pair] += pixels
                arrays[1, photo, pair[0]] += pixels
                arrays[2, photo, pair[1]] += pixels
                arrays[0, photo, pair[0]] += pixels * (pair[0] == pair[1])
    correct, true_pixels, predicted_pixels = arrays[..., :void]
    return PixelCounts(correct, true_pixels, predicted_pixels, confusion)
