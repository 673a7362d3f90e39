"""Store the predicted segments of a run in FiftyOne, with what the review says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from conversion.coco.panoptic import PanopticSet
from curation.loading.labels import labels_of, segment_labels, store_labels
from curation.loading.masks import PhotoMasks
from curation.review.marks import PhotoMarks, mark_segments


def store_predicted(
    samples: fo.Dataset,
    fields: Sequence[str],
    marks: Mapping[str, PhotoMarks],
    prediction: PanopticSet,
    masks: Mapping[str, PhotoMasks],
) -> None:
    """Set the two fields of a run, things and stuff, for the photos in `marks`."""
    for field, things in zip(fields, (True, False), strict=True):
        before, labels = labels_of(samples, field, marks), {}
        for name, one in marks.items():
            made = segment_labels(
                one.match.prediction,
                masks[name],
                prediction.categories,
                things=things,
                before=before.get(name, ()),
            )
            labels[name] = mark_segments(made, one.prediction)
        store_labels(samples, field, labels, before)
