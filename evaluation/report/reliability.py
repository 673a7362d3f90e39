"""How often predicted segments of a given confidence are hits.

Guo et al., "On Calibration of Modern Neural Networks", 2017: reliability diagrams, and the expected
calibration error with bins of equal width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.report.records import PhotoRecords

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Predicted segments by confidence: `index` / 10 up to the next tenth."""

    index: int
    number: int
    hits: int
    confidence: float  # mean

    @property
    def share(self) -> float:
        """Share of hits, 0..1."""
        return self.hits / self.number


@dataclass(frozen=True)
class Reliability:
    """The bins with segments, and the expected calibration error, 0..1."""

    bins: tuple[Bin, ...]
    error: float


def confidence_bin(score: float) -> int:
    """Return the index of the bin of a score in 0..1."""
    return min(BINS - 1, int(score * BINS))


def measure_reliability(photos: Sequence[PhotoRecords]) -> Reliability | None:
    """Sort the predicted segments into bins; None if they have no scores."""
    segments = [
        (record.prediction.score, record.is_hit)
        for photo in photos
        for record in photo.records
        if record.prediction and record.prediction.score is not None
    ]
    if not segments:
        return None
    bins = []
    for index in range(BINS):
        inside = [(score, hit) for score, hit in segments if confidence_bin(score) == index]
        if inside:
            mean = sum(score for score, _ in inside) / len(inside)
            bins.append(Bin(index, len(inside), sum(hit for _, hit in inside), mean))
    gaps = sum(b.number * abs(b.share - b.confidence) for b in bins)
    return Reliability(tuple(bins), gaps / len(segments))
