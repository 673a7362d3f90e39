"""What the page needs to find photos by their errors: plain values, which become JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.report.figures import Figures
from evaluation.report.records import Record
from evaluation.report.reliability import confidence_bin
from evaluation.scores.counts import SIZES, is_near, size_of
from evaluation.scores.matching import PhotoMatch


def collect_facts(figures: Figures, shown: Sequence[int]) -> dict[str, Any]:
    """Return facts about all photos; `shown` are the numbers of those with pictures.

    A record of a photo is a list: outcome (`hit`, `near` or `wrong`), ids of the true and of the
    predicted category or None, kind or None, size of the true segment or None, bin of the
    prediction's confidence or None, and price in points of PQ.
    """
    return {
        "categories": {row.category.id: row.name for row in figures.categories},
        "shown": list(shown),
        "photos": [
            {
                "name": photo.match.truth.file_name,
                "pq": round(100 * photo.match.pq, 2),
                "records": [_values(record, photo.match) for record in photo.records],
            }
            for photo in figures.photos
        ],
    }


def _values(record: Record, match: PhotoMatch) -> list[Any]:
    true, predicted = record.truth, record.prediction
    is_close = not record.is_hit and true is not None and is_near(true, match)
    score = predicted.score if predicted else None
    return [
        "hit" if record.is_hit else "near" if is_close else "wrong",
        true.category_id if true else None,
        predicted.category_id if predicted else None,
        record.kind,
        SIZES[size_of(match.overlaps.true_areas[true.id])] if true else None,
        None if score is None else confidence_bin(score),
        round(100 * record.price, 4),
    ]
