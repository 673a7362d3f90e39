"""Saved views for going through a review in the App, worst photos first."""

from __future__ import annotations

from collections.abc import Iterator

import fiftyone as fo
from fiftyone import ViewField as F

from curation.app.fields import FALSE_ALARM, MISSED, PREDICTED_SEGMENTS, TRUE_SEGMENTS


def save_review_views(samples: fo.Dataset, run_name: str) -> None:
    """Save the views, replacing those of an earlier review."""
    for name, view in _review_views(samples):
        samples.save_view(name, view, description=run_name, overwrite=True)


def _review_views(samples: fo.Dataset) -> Iterator[tuple[str, fo.DatasetView]]:
    reviewed = samples.exists("pq")
    worst_first = reviewed.sort_by("pq")
    errors = worst_first
    for path in TRUE_SEGMENTS:
        errors = errors.filter_labels(path, F("outcome") == MISSED, only_matches=False)
    for path in PREDICTED_SEGMENTS:
        errors = errors.filter_labels(path, F("outcome") == FALSE_ALARM, only_matches=False)
    yield "reviewed", reviewed
    yield "worst first", worst_first
    yield "errors only", errors
    yield "with missed segments", _with_most(reviewed, "missed")
    yield "with false alarms", _with_most(reviewed, "false_alarms")


def _with_most(reviewed: fo.DatasetView, count: str) -> fo.DatasetView:
    return reviewed.match(F(count) > 0).sort_by(count, reverse=True)
