"""The review in FiftyOne's own panel Model Evaluation: one evaluation of things, one of stuff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
from fiftyone.utils.eval.detection import DetectionEvaluationConfig, DetectionResults

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from curation.app.fields import EVALUATIONS, PREDICTED_SEGMENTS, TRUE_SEGMENTS
from evaluation.scores.matching import PhotoMatch
from evaluation.scores.quality import MeanQuality, panoptic_quality, row_names

Row = tuple[str | None, str | None, float | None, float | None, str | None, str | None]
_FIELDS = tuple(zip(EVALUATIONS, TRUE_SEGMENTS, PREDICTED_SEGMENTS, strict=True))


def store_evaluations(
    samples: fo.Dataset, matches: Sequence[PhotoMatch], categories: Sequence[Category]
) -> None:
    """Store the matches of a review as FiftyOne's evaluations `pq_things` and `pq_stuff`.

    Hits are pairs of one category, as in FiftyOne's own evaluations, so that its numbers of true
    and false positives and of false negatives are those of PQ, and its F1 score of a category is
    RQ. PQ, SQ and RQ, the means over categories, are custom metrics.
    """
    quality = panoptic_quality(matches, categories)
    labels = {c.id: name for c, name in zip(categories, row_names(categories), strict=True)}
    for (key, truth, predicted), scores in zip(
        _FIELDS, (quality.things, quality.stuff), strict=True
    ):
        names = {c.id: labels[c.id] for c in categories if c.isthing == (key == EVALUATIONS[0])}
        if not names:
            continue
        config = DetectionEvaluationConfig(predicted, truth, iou=0.5, classwise=True)
        method = config.build()
        # `cleanup` would delete the attributes by which the panel filters segments
        method.register_run(samples, key, cleanup=False)
        ids = _label_ids(samples, truth), _label_ids(samples, predicted)
        rows = [row for match in matches for row in _rows(match, names, *ids)]
        results = DetectionResults(
            samples,
            config,
            key,
            rows,
            classes=sorted(names.values()),
            custom_metrics=_metrics(scores),
            backend=method,
        )
        method.save_run_results(samples, key, results)


Ids = dict[tuple[str, int], str]  # of a label, by photo and segment id


def _label_ids(samples: fo.Dataset, field: str) -> Ids:
    inner = [f"{field}.detections.{name}" for name in ("segment_id", "id")]
    found: Ids = {}
    for photo, segments, labels in zip(*samples.values(["photo", *inner]), strict=True):
        for segment, label in zip(segments or (), labels or (), strict=True):
            found[photo, segment] = label
    return found


def _rows(match: PhotoMatch, names: dict[int, str], truth: Ids, predicted: Ids) -> Iterator[Row]:
    """Yield true and predicted category, IoU, score, and ids of labels, as FiftyOne has them."""
    photo = match.truth.file_name

    def known(segment: Segment) -> bool:
        return segment.category_id in names

    for pair in match.tp:
        if known(pair.truth):
            name, score = names[pair.truth.category_id], pair.prediction.score
            ids = truth.get((photo, pair.truth.id)), predicted.get((photo, pair.prediction.id))
            yield name, name, pair.iou, score, *ids
    for segment in filter(known, match.fp):
        one = predicted.get((photo, segment.id))
        yield None, names[segment.category_id], None, segment.score, None, one
    for segment in filter(known, match.fn):
        one = truth.get((photo, segment.id))
        yield names[segment.category_id], None, None, None, one, None


def _metrics(scores: MeanQuality) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "key": name,
            "label": f"{name.upper()}, mean over categories",
            "value": getattr(scores, name),
            "lower_is_better": False,
        }
        for name in ("pq", "sq", "rq")
    }
