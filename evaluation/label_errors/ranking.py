"""A ranking of labels that may be wrong, from predictions of models that have not seen them.

In the manner of ObjectLab (Tkachenko, Thyagarajan and Mueller, "ObjectLab: Automated Diagnosis of
Mislabeled Images in Object Detection Data", 2023), each kind of error has its own score, with masks
in place of boxes. Every score is the confidence of a prediction times how much it contradicts the
label, so that the kinds can be compared:

- missing: the share of the prediction that lies on no label
- swapped: the IoU of the prediction with a label of another category
- badly placed: how far the IoU with a label of the same category is below the IoU that is usual for
  its category and size. A small thing, or a ladder, never has the IoU of a large box. Where the
  model has merged two things, or divided one, the pixels of the other part do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from evaluation.label_errors.suspects import Kind, Suspect, SuspectList
from evaluation.label_errors.usual_iou import UsualIou
from evaluation.scores.matching import PhotoMatch

LEAST_SCORE = 0.05  # of suspects in the list
# Spreads below the usual IoU at which a label begins to be suspicious, and after how many more it
# is certain. Chosen with wrong labels that were planted in yard; see docs/label_errors.md.
USUAL_SPREADS, SPREADS = 2.5, 4.0


def rank_suspects(
    matches: Sequence[PhotoMatch],
    categories: Iterable[Category],
    *,
    labels: Collection[str],
    inputs: str,
) -> SuspectList:
    """Rank the labels of matched photos, the most suspicious first.

    Only categories whose name is in `labels` are examined. Each label, and each prediction, is
    listed at most once, for the kind with the highest score.
    """
    names = {c.id: c.name for c in categories if c.name in labels}
    usual = UsualIou(pair for match in matches for pair in match.tp)
    found = [s for match in matches for s in _once(_suspects(_Photo(match, names), usual, names))]
    found.sort(key=lambda suspect: -suspect.score)
    return SuspectList(inputs, tuple(found))


def _once(suspects: Iterable[Suspect]) -> Iterator[Suspect]:
    truths: set[int] = set()
    predictions: set[int] = set()
    for one in sorted(suspects, key=lambda suspect: -suspect.score):
        if one.score < LEAST_SCORE:
            return
        if one.truth_id not in truths and one.prediction_id not in predictions:
            truths |= set() if one.truth_id is None else {one.truth_id}
            predictions.add(one.prediction_id)
            yield replace(one, score=round(one.score, 4), iou=round(one.iou, 4))


class _Photo:
    """The labels and predictions of one photo that are examined, and their overlaps."""

    def __init__(self, match: PhotoMatch, names: Collection[int]) -> None:
        self.file_name, self._shared = match.truth.file_name, match.overlaps.shared
        truth = [s for s in match.truth.segments if s.category_id in names and not s.iscrowd]
        predicted = [s for s in match.prediction.segments if s.category_id in names]
        self.labels, self.false = truth, [s for s in match.fp if s.category_id in names]
        self.pairs = [
            (label, prediction, match.overlaps.iou(label.id, prediction.id))
            for label in truth
            for prediction in predicted
            if (label.id, prediction.id) in self._shared
        ]

    def same(self, segment: Segment) -> list[tuple[Segment, Segment, float]]:
        """Return the pairs of a segment with segments of its category on the other side."""
        return [p for p in self.pairs if segment in p[:2] and p[0].category_id == p[1].category_id]

    def iou_of_part(self, label: Segment, prediction: Segment) -> float:
        """Return the IoU without pixels of the prediction on other labels, and without pixels of
        the label on other predictions of its category."""
        overlap = self._shared[label.id, prediction.id]
        merged = sum(
            self._shared.get((other.id, prediction.id), 0)
            for other in self.labels
            if other.id != label.id
        )
        divided = sum(
            self._shared[label.id, other.id]
            for _, other, _ in self.same(label)
            if other.id != prediction.id
        )
        return overlap / (label.area + prediction.area - overlap - merged - divided)

    def share_on_labels(self, prediction: Segment) -> tuple[float, float]:
        """Return the shares of a prediction on labels of its category and on other labels."""
        own = other = 0
        for label in self.labels:
            pixels = self._shared.get((label.id, prediction.id), 0)
            if label.category_id == prediction.category_id:
                own += pixels
            else:
                other += pixels
        return own / prediction.area, other / prediction.area


def _suspect(
    names: dict[int, str],
    photo: _Photo,
    kind: Kind,
    label: Segment | None,
    found: Segment,
    factor: float,
    iou: float,
) -> Suspect:
    shown = label or found
    name, other = names[shown.category_id], names[found.category_id]
    return Suspect(
        file_name=photo.file_name,
        kind=kind,
        score=(found.score or 0.0) * factor,
        category=name,
        other_category=other if other != name else None,
        bbox=shown.bbox,
        truth_id=label.id if label else None,
        prediction_id=found.id,
        iou=iou,
    )


def _suspects(photo: _Photo, usual: UsualIou, names: dict[int, str]) -> Iterator[Suspect]:
    for found in photo.false:
        own, other = photo.share_on_labels(found)
        # a label of this category that covers half of it is more probably badly placed
        yield _suspect(names, photo, "missing", None, found, max(0.0, 1 - 2 * own - other), 0.0)
    for label, found, iou in photo.pairs:
        if label.category_id != found.category_id:
            support = max((i * (p.score or 0) for _, p, i in photo.same(label)), default=0.0)
            yield _suspect(
                names, photo, "swapped", label, found, iou * max(0.0, 1 - 2 * support), iou
            )
        elif iou == max(i for one in (label, found) for *_, i in photo.same(one)):
            below = usual.spreads_below(photo.iou_of_part(label, found), found)
            factor = min(1.0, max(0.0, (below - USUAL_SPREADS) / SPREADS))
            yield _suspect(names, photo, "badly placed", label, found, factor, iou)
