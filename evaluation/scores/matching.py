"""Which predicted segment is which true one: the matching of panoptic quality.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1: a predicted and a true segment
of one category match where their IoU, void left out, is above one half; such a match is unique.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from base.errors import InputError
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import VOID, SegmentIds


@dataclass(frozen=True)
class Hit:
    """A true and a predicted segment that match; `iou` is in (0.5, 1]."""

    truth: Segment
    prediction: Segment
    iou: float


@dataclass(frozen=True)
class PhotoMatch:
    """One photo's segments: matched, false (predicted only) and missed (true only)."""

    truth: Photo
    prediction: Photo
    hits: tuple[Hit, ...]
    false: tuple[Segment, ...]
    missed: tuple[Segment, ...]

    @property
    def pq(self) -> float:
        """Panoptic quality of this photo alone, all its segments taken as one category, 0..1.

        1.0 where there is neither a true nor a predicted segment to compare.
        """
        weight = len(self.hits) + (len(self.false) + len(self.missed)) / 2
        return sum(hit.iou for hit in self.hits) / weight if weight else 1.0


def match_sets(truth: PanopticSet, prediction: PanopticSet) -> Iterator[PhotoMatch]:
    """Match photo by photo, joined by file name, in the order of the truth.

    Raises InputError where a true photo has no prediction or the categories disagree.
    """
    _check_categories(truth, prediction)
    _check_segments(truth)
    _check_segments(prediction)
    predicted = {photo.file_name: photo for photo in prediction.photos}
    for photo in truth.photos:
        if photo.file_name not in predicted:
            raise InputError(f"{prediction.json_path}: no prediction for {photo.file_name}")
        other = predicted[photo.file_name]
        yield match_photo(photo, truth.segment_ids(photo), other, prediction.segment_ids(other))


def _check_categories(truth: PanopticSet, prediction: PanopticSet) -> None:
    known = {c.id: c.name for c in truth.categories}
    for category in prediction.categories:
        if known.get(category.id, category.name) != category.name:
            raise InputError(
                f"{prediction.json_path}: category {category.id} is '{category.name}',"
                f" but '{known[category.id]}' in {truth.json_path}"
            )


def _check_segments(panoptic: PanopticSet) -> None:
    known = {c.id for c in panoptic.categories}
    for photo in panoptic.photos:
        for segment in photo.segments:
            if segment.category_id not in known:
                raise InputError(
                    f"{panoptic.json_path}: {photo.file_name}: segment {segment.id}: category_id:"
                    f" expected one of the file's categories, got {segment.category_id}"
                )


def match_photo(
    truth: Photo, truth_ids: SegmentIds, prediction: Photo, prediction_ids: SegmentIds
) -> PhotoMatch:
    """Match the segments of one photo; both id maps are (H, W) uint32.

    Crowd and void as in the paper: void pixels count for nobody, a false segment that lies for
    more than half on void or on crowd of its category is no error, missed crowd is none either.
    """
    if truth_ids.shape != prediction_ids.shape:
        raise InputError(
            f"{truth.file_name}: truth has (height, width) {truth_ids.shape},"
            f" the prediction {prediction_ids.shape}"
        )
    shared = overlaps(truth_ids, prediction_ids)
    areas = _areas(shared, side=1)
    hits = _hits(truth, prediction, shared, areas)
    found = {hit.truth.id for hit in hits}
    right = {hit.prediction.id for hit in hits}
    missed = [s for s in truth.segments if s.id not in found and not s.iscrowd]
    false = [
        s
        for s in prediction.segments
        if s.id not in right and _excused(s, truth, shared) <= areas[s.id] / 2
    ]
    return PhotoMatch(truth, prediction, tuple(hits), tuple(false), tuple(missed))


def overlaps(truth_ids: SegmentIds, prediction_ids: SegmentIds) -> dict[tuple[int, int], int]:
    """Number of pixels of every (true id, predicted id) pair that occurs, void included."""
    pairs = truth_ids.astype(np.uint64) << np.uint64(32) | prediction_ids.astype(np.uint64)
    values, counts = np.unique(pairs, return_counts=True)
    return {
        (value >> 32, value & 0xFFFFFFFF): count
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    }


def _areas(shared: dict[tuple[int, int], int], *, side: int) -> Counter[int]:
    """Pixels of every true (side 0) or predicted (side 1) id; a JSON may say anything."""
    areas: Counter[int] = Counter()
    for ids, count in shared.items():
        areas[ids[side]] += count
    return areas


def _hits(
    truth: Photo,
    prediction: Photo,
    shared: dict[tuple[int, int], int],
    predicted_areas: Counter[int],
) -> list[Hit]:
    true_segments = {s.id: s for s in truth.segments if not s.iscrowd}
    predicted_segments = {s.id: s for s in prediction.segments}
    true_areas = _areas(shared, side=0)
    hits = []
    for (true_id, predicted_id), intersection in sorted(shared.items()):
        true, predicted = true_segments.get(true_id), predicted_segments.get(predicted_id)
        if true is None or predicted is None or true.category_id != predicted.category_id:
            continue
        on_void = shared.get((VOID, predicted_id), 0)
        both = true_areas[true_id] + predicted_areas[predicted_id]
        iou = intersection / (both - intersection - on_void)
        if iou > 0.5:
            hits.append(Hit(true, predicted, iou))
    return hits


def _excused(segment: Segment, truth: Photo, shared: dict[tuple[int, int], int]) -> int:
    """Pixels of a predicted segment that lie on void or on crowd of its category."""
    crowd = [s.id for s in truth.segments if s.iscrowd and s.category_id == segment.category_id]
    return sum(shared.get((true_id, segment.id), 0) for true_id in [VOID, *crowd])
