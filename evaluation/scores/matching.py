"""Match predicted segments with true segments, as defined for panoptic quality.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1: a predicted and a true segment
of the same category match if their IoU, computed without void pixels, is greater than 0.5. A
segment has at most one such match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from base.counting import counted
from base.errors import InputError
from base.memory import keep_freed_memory, return_freed_memory
from base.workers import batched, count_cores
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import VOID, SegmentIds

AT_ONCE = 64  # photos that are matched before the results are needed


@dataclass(frozen=True)
class TruePositive:
    """A true segment and the predicted segment that matches it; `iou` is in (0.5, 1]."""

    truth: Segment
    prediction: Segment
    iou: float


@dataclass(frozen=True)
class Overlaps:
    """Pixel counts of one photo: of each (true id, predicted id) pair that occurs, void included.

    Areas are counted from the pixels. They may differ from the areas in the JSON files.
    """

    shared: dict[tuple[int, int], int]

    @cached_property
    def true_areas(self) -> Counter[int]:
        """Number of pixels of each true segment id."""
        areas: Counter[int] = Counter()
        for (true_id, _), count in self.shared.items():
            areas[true_id] += count
        return areas

    @cached_property
    def predicted_areas(self) -> Counter[int]:
        """Number of pixels of each predicted segment id."""
        areas: Counter[int] = Counter()
        for (_, predicted_id), count in self.shared.items():
            areas[predicted_id] += count
        return areas

    def iou(self, true_id: int, predicted_id: int) -> float:
        """Intersection over union of two segments that share pixels, computed without void."""
        intersection = self.shared[true_id, predicted_id]
        on_void = self.shared.get((VOID, predicted_id), 0)
        both = self.true_areas[true_id] + self.predicted_areas[predicted_id]
        return intersection / (both - intersection - on_void)


@dataclass(frozen=True)
class PhotoMatch:
    """The segments of one photo: matched (`tp`), only predicted (`fp`) and only true (`fn`)."""

    truth: Photo
    prediction: Photo
    tp: tuple[TruePositive, ...]
    fp: tuple[Segment, ...]
    fn: tuple[Segment, ...]
    overlaps: Overlaps

    @property
    def pq(self) -> float:
        """Panoptic quality of this photo, 0..1, as if its segments were all of one category.

        1.0 if there is neither a true nor a predicted segment to compare.
        """
        weight = len(self.tp) + (len(self.fp) + len(self.fn)) / 2
        return sum(match.iou for match in self.tp) / weight if weight else 1.0


def match_sets(
    truth: PanopticSet, prediction: PanopticSet, *, official: bool = False
) -> Iterator[PhotoMatch]:
    """Match all photos of `truth`, in its order; photos are joined by file name.

    `official` is that of `match_photo`.

    Raises InputError if a photo has no prediction, if the sets disagree about a category, or if the
    segments of a photo are not those of its PNG.
    """
    keep_freed_memory()
    _check_known(truth)
    _check_known(prediction)
    _check_categories(truth, prediction)
    predicted = {photo.file_name: photo for photo in prediction.photos}

    def match(photo: Photo) -> PhotoMatch:
        if photo.file_name not in predicted:
            raise InputError(f"{prediction.json_path}: no prediction for {photo.file_name}")
        other = predicted[photo.file_name]
        both = truth.segment_ids(photo), prediction.segment_ids(other)
        found = match_photo(photo, both[0], other, both[1], official=official)
        _check_pixels(truth, photo, found.overlaps.true_areas)
        _check_pixels(prediction, other, found.overlaps.predicted_areas)
        return found

    # Threads suffice, because PNGs are decoded and compared without Python's lock
    with ThreadPoolExecutor(count_cores()) as pool:
        for photos in batched(truth.photos, AT_ONCE):
            yield from pool.map(match, photos)
    return_freed_memory()


def _check_known(panoptic: PanopticSet) -> None:
    """Raise InputError if a segment has a category that its file does not list."""
    known = {c.id for c in panoptic.categories}
    for photo in panoptic.photos:
        for segment in photo.segments:
            if segment.category_id not in known:
                raise InputError(
                    f"{panoptic.json_path}: {photo.file_name}: segment {segment.id}: category_id:"
                    f" expected a category of this file, found {segment.category_id}"
                )


def _check_categories(truth: PanopticSet, prediction: PanopticSet) -> None:
    """Raise InputError if a category of predicted segments is another one in the ground truth.

    Ids decide, not names: a prediction with COCO's ids beside a set's own would otherwise share
    only some of the categories, and score 0 for the others.
    """
    true = {c.id: c for c in truth.categories}
    used = Counter(s.category_id for photo in prediction.photos for s in photo.segments)
    for category in prediction.categories:
        same = true.get(category.id)
        if not used[category.id] or (same and _kind(same) == _kind(category)):
            continue
        where = f"{prediction.json_path}: category {category.id} ({_kind(category)})"
        namesakes = [c for c in truth.categories if _kind(c) == _kind(category)]
        if namesakes:
            raise InputError(
                f"{where}: expected the id {namesakes[0].id}, as in {truth.json_path}; ids must be"
                " the same in both files"
            )
        if same:
            where = f"{prediction.json_path}: category {category.id}"
            expected = f"{_kind(same)}, as in {truth.json_path}"
            raise InputError(f"{where}: expected {expected}, found {_kind(category)}")
        raise InputError(
            f"{where}: expected a category of {truth.json_path}, found"
            f" {counted(used[category.id], 'segment')} of one that it does not have"
        )


def _kind(category: Category) -> str:
    return f"{'thing' if category.isthing else 'stuff'} '{category.name}'"


def _check_pixels(panoptic: PanopticSet, photo: Photo, areas: Mapping[int, int]) -> None:
    """Raise InputError if a segment has no pixels, or pixels belong to no segment."""
    listed, painted = {s.id for s in photo.segments}, areas.keys() - {VOID}
    where = f"{panoptic.json_path}: {photo.file_name}"
    for segment_id in sorted(listed - painted):
        raise InputError(f"{where}: segment {segment_id}: expected pixels in its PNG, found none")
    for segment_id in sorted(painted - listed):
        raise InputError(
            f"{where}: expected only ids of its segments in its PNG, found"
            f" {counted(areas[segment_id], 'pixel')} of id {segment_id}"
        )


def match_photo(
    truth: Photo,
    truth_ids: SegmentIds,
    prediction: Photo,
    prediction_ids: SegmentIds,
    *,
    official: bool = False,
) -> PhotoMatch:
    """Match the segments of one photo; both arrays are (H, W) uint32 segment ids.

    Void and crowds are treated as in the paper: void pixels are ignored, a predicted segment
    that lies more than half on void or on a crowd of its category is not a false positive, and a
    crowd is never a false negative. Of several crowds of a category, `official` ignores only the
    last one, as panopticapi does. Raises InputError if the arrays differ in size.
    """
    if truth_ids.shape != prediction_ids.shape:
        (true_height, true_width), (height, width) = truth_ids.shape, prediction_ids.shape
        raise InputError(
            f"{truth.file_name}: expected a prediction of {true_width}x{true_height} pixels"
            f" like the ground truth, found {width}x{height}"
        )
    overlaps = count_overlaps(truth_ids, prediction_ids)
    tp = _true_positives(truth, prediction, overlaps)
    true_ids = {match.truth.id for match in tp}
    predicted_ids = {match.prediction.id for match in tp}
    fn = [s for s in truth.segments if s.id not in true_ids and not s.iscrowd]
    crowds: dict[int, list[int]] = {}  # by category
    for segment in truth.segments:
        if segment.iscrowd:
            crowds.setdefault(segment.category_id, []).append(segment.id)
    if official:
        crowds = {category_id: ids[-1:] for category_id, ids in crowds.items()}
    fp = [
        s
        for s in prediction.segments
        if s.id not in predicted_ids
        and _ignored_pixels(s, crowds, overlaps) <= overlaps.predicted_areas[s.id] / 2
    ]
    return PhotoMatch(truth, prediction, tuple(tp), tuple(fp), tuple(fn), overlaps)


def count_overlaps(truth_ids: SegmentIds, prediction_ids: SegmentIds) -> Overlaps:
    """Count the pixels of each pair of ids in two (H, W) uint32 arrays of segment ids.

    Only the runs of pixels in which neither id changes are sorted, about one in fifty pixels.
    """
    true, predicted = truth_ids.ravel(), prediction_ids.ravel()
    changes = (true[1:] != true[:-1]) | (predicted[1:] != predicted[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=true.size)
    pairs = true[starts].astype(np.uint64) << np.uint64(32) | predicted[starts]
    unique, numbers = np.unique(pairs, return_inverse=True)
    counts = np.bincount(numbers, lengths).astype(np.int64)
    return Overlaps(
        {
            (pair >> 32, pair & 0xFFFFFFFF): count
            for pair, count in zip(unique.tolist(), counts.tolist(), strict=True)
        }
    )


def _true_positives(truth: Photo, prediction: Photo, overlaps: Overlaps) -> list[TruePositive]:
    true_segments = {s.id: s for s in truth.segments if not s.iscrowd}
    predicted_segments = {s.id: s for s in prediction.segments}
    found = []
    for true_id, predicted_id in sorted(overlaps.shared):
        true, predicted = true_segments.get(true_id), predicted_segments.get(predicted_id)
        if true is None or predicted is None or true.category_id != predicted.category_id:
            continue
        iou = overlaps.iou(true_id, predicted_id)
        if iou > 0.5:
            found.append(TruePositive(true, predicted, iou))
    return found


def _ignored_pixels(segment: Segment, crowds: Mapping[int, list[int]], overlaps: Overlaps) -> int:
    """Number of pixels of a predicted segment that lie on void or on a crowd of its category."""
    ignored = [VOID, *crowds.get(segment.category_id, [])]
    return sum(overlaps.shared.get((true_id, segment.id), 0) for true_id in ignored)
