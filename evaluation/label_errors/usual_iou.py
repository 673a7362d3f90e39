"""The IoU that predictions usually have with labels, by category and size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from conversion.coco.panoptic import Segment
from evaluation.scores.matching import TruePositive

NEAREST = 25  # hits of the most similar size that are compared
FEWEST = 5  # hits of a category, below which those of all categories are compared
LEAST_SPREAD = 0.03
BELOW = 16  # percentile: one standard deviation below the mean of a normal distribution


class UsualIou:
    """The median of the IoU of hits, and its spread below the median, for a category and size."""

    def __init__(self, hits: Iterable[TruePositive]) -> None:
        found = list(hits)
        self._categories = np.array([hit.truth.category_id for hit in found])
        self._log_areas = np.log([max(1, hit.prediction.area) for hit in found])
        self._ious = np.array([hit.iou for hit in found])

    def spreads_below(self, iou: float, prediction: Segment) -> float:
        """Return how many spreads an IoU lies below the usual one; 0 if there are no hits."""
        if not len(self._ious):
            return 0.0
        alike = np.flatnonzero(self._categories == prediction.category_id)
        if len(alike) < FEWEST:
            alike = np.arange(len(self._ious))
        distance = np.abs(self._log_areas[alike] - np.log(max(1, prediction.area)))
        near = self._ious[alike[np.argsort(distance, kind="stable")[:NEAREST]]]
        low, middle = np.percentile(near, [BELOW, 50])
        return float((middle - iou) / max(LEAST_SPREAD, middle - low))
