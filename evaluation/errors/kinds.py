"""One kind of error for every false alarm and every missed segment.

The kinds are decided in the order of `KINDS`; docs/errors.md defines each in one sentence. Hits
have no kind here: what they lose by an IoU below 1 is the price of `outline`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from conversion.coco.png import VOID
from evaluation.scores.matching import Overlaps, PhotoMatch

Kind = Literal[
    "wrong category",
    "split",
    "merged",
    "stuff over stuff",
    "loose",
    "wrong category and loose",
    "missed",
    "invented",
    "outline",
]
KINDS: tuple[Kind, ...] = (
    "wrong category",
    "split",
    "merged",
    "stuff over stuff",
    "loose",
    "wrong category and loose",
    "missed",
    "invented",
    "outline",
)
LEAST_IOU = 0.1  # of a loose segment; with 0.25, a third of them would count as two errors
MOST = 0.5  # a segment lies within another if more than this share of its pixels does


@dataclass(frozen=True)
class Error:
    """One error: a pair of a predicted and a true segment, or one of them alone.

    `iou` is that of the pair; for one segment alone, 0. `instead` says what lies in the place of a
    missed segment: `void`, `stuff` or `things`; otherwise, it is empty.
    """

    kind: Kind
    truth: Segment | None
    prediction: Segment | None
    iou: float = 0.0
    instead: str = ""


def name_errors(match: PhotoMatch, categories: Sequence[Category]) -> tuple[Error, ...]:
    """Return the errors of a photo; each of its false alarms and missed segments is in just one.

    `categories` are those of the ground truth and the prediction.
    """
    naming = _Naming(match, {c.id for c in categories if c.isthing})
    naming.pair("wrong category", lambda t, p: not _same(t, p), above=0.5)
    naming.find_split()
    naming.find_merged()
    naming.find_stuff_over_stuff()
    naming.pair("loose", _same, above=LEAST_IOU)
    naming.pair("wrong category and loose", lambda t, p: not _same(t, p), above=LEAST_IOU)
    naming.name_the_rest()
    return tuple(naming.errors)


def _same(truth: Segment, prediction: Segment) -> bool:
    return truth.category_id == prediction.category_id


class _Naming:
    """The segments of a photo that have no kind yet, and the errors found so far."""

    def __init__(self, match: PhotoMatch, things: set[int]) -> None:
        self.errors: list[Error] = []
        self._things = things
        self._overlaps: Overlaps = match.overlaps
        self._truth = {s.id: s for s in match.truth.segments if not s.iscrowd}
        self._prediction = {s.id: s for s in match.prediction.segments}
        self._hits = {pair.truth.id: pair.prediction.id for pair in match.tp}
        self._missed = {s.id: s for s in match.fn}
        self._false = {s.id: s for s in match.fp}

    @cached_property
    def _pairs(self) -> list[tuple[float, int, int]]:
        """IoU, true id and predicted id of all overlapping segments, the highest IoU first."""
        pairs = (
            (self._overlaps.iou(true_id, predicted_id), true_id, predicted_id)
            for true_id, predicted_id in self._overlaps.shared
            if true_id in self._truth and predicted_id in self._prediction
        )
        return sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))

    def _add(self, kind: Kind, true_id: int | None, predicted_id: int | None, iou: float) -> None:
        truth = None if true_id is None else self._missed.pop(true_id)
        prediction = None if predicted_id is None else self._false.pop(predicted_id)
        self.errors.append(Error(kind, truth, prediction, iou))

    def pair(self, kind: Kind, fits: Callable[[Segment, Segment], bool], *, above: float) -> None:
        """Pair missed segments with false alarms whose IoU is above a limit, the highest first."""
        for iou, true_id, predicted_id in self._pairs:
            if iou <= above:
                break
            truth, prediction = self._missed.get(true_id), self._false.get(predicted_id)
            if truth and prediction and fits(truth, prediction):
                self._add(kind, true_id, predicted_id, iou)

    def find_split(self) -> None:
        """Find false alarms that lie within a true segment of their category, of which others hit
        or share the rest, and the missed segments that they share."""
        pieces: defaultdict[int, list[int]] = defaultdict(list)  # by true id
        for predicted_id in sorted(self._false):
            true_id = self._host(predicted_id)
            if true_id is not None:
                pieces[true_id].append(predicted_id)
        for true_id, predicted_ids in pieces.items():
            if true_id in self._hits:
                for predicted_id in predicted_ids:
                    self._add("split", None, predicted_id, 0.0)
            elif true_id in self._missed and len(predicted_ids) > 1:
                largest = max(predicted_ids, key=lambda p: self._overlaps.shared[true_id, p])
                self._add("split", true_id, largest, self._overlaps.iou(true_id, largest))
                for predicted_id in predicted_ids:
                    if predicted_id != largest:
                        self._add("split", None, predicted_id, 0.0)

    def find_merged(self) -> None:
        """Find missed segments that lie within a predicted segment of their category, which hits
        or covers others too, and the false alarms that cover them."""
        covered: defaultdict[int, list[int]] = defaultdict(list)  # by predicted id
        for true_id in sorted(self._missed):
            predicted_id = self._cover(true_id)
            if predicted_id is not None:
                covered[predicted_id].append(true_id)
        hitting = set(self._hits.values())
        for predicted_id, true_ids in covered.items():
            if predicted_id in hitting:
                for true_id in true_ids:
                    self._add("merged", true_id, None, 0.0)
            elif predicted_id in self._false and len(true_ids) > 1:
                largest = max(true_ids, key=lambda t: self._overlaps.shared[t, predicted_id])
                iou = self._overlaps.iou(largest, predicted_id)
                self._add("merged", largest, predicted_id, iou)
                for true_id in true_ids:
                    if true_id != largest:
                        self._add("merged", true_id, None, 0.0)

    def _host(self, predicted_id: int) -> int | None:
        """Return the true segment of the same category with most of a predicted one's pixels."""
        category_id = self._prediction[predicted_id].category_id
        own = {
            true_id: count
            for (true_id, other_id), count in self._overlaps.shared.items()
            if other_id == predicted_id
            and true_id in self._truth
            and self._truth[true_id].category_id == category_id
        }
        area = self._overlaps.predicted_areas[predicted_id]
        area -= self._overlaps.shared.get((VOID, predicted_id), 0)
        return _most(own, area)

    def _cover(self, true_id: int) -> int | None:
        """Return the predicted segment of the same category with most of a true one's pixels."""
        category_id = self._truth[true_id].category_id
        own = {
            predicted_id: count
            for (other_id, predicted_id), count in self._overlaps.shared.items()
            if other_id == true_id
            and predicted_id in self._prediction
            and self._prediction[predicted_id].category_id == category_id
        }
        return _most(own, self._overlaps.true_areas[true_id])

    def find_stuff_over_stuff(self) -> None:
        """Find stuff of which more than half lies under other stuff, and the stuff over it."""
        shared = self._overlaps.shared
        for truth in list(self._missed.values()):
            others = {
                p: count
                for (t, p), count in shared.items()
                if t == truth.id and self._is_other_stuff(self._prediction.get(p), truth)
            }
            if truth.category_id not in self._things and _is_most(
                sum(others.values()), self._overlaps.true_areas[truth.id]
            ):
                self._add("stuff over stuff", truth.id, None, 0.0)
        for prediction in list(self._false.values()):
            others = {
                t: count
                for (t, p), count in shared.items()
                if p == prediction.id and self._is_other_stuff(self._truth.get(t), prediction)
            }
            if prediction.category_id not in self._things and _is_most(
                sum(others.values()), self._overlaps.predicted_areas[prediction.id]
            ):
                self._add("stuff over stuff", None, prediction.id, 0.0)

    def _is_other_stuff(self, other: Segment | None, segment: Segment) -> bool:
        if other is None or other.category_id in self._things:
            return False
        return other.category_id != segment.category_id

    def name_the_rest(self) -> None:
        """Call the remaining segments missed, with what lies in their place, and invented."""
        for true_id, truth in list(self._missed.items()):
            del self._missed[true_id]
            self.errors.append(Error("missed", truth, None, instead=self._instead(true_id)))
        for predicted_id in list(self._false):
            self._add("invented", None, predicted_id, 0.0)

    def _instead(self, true_id: int) -> str:
        areas = dict.fromkeys(("void", "stuff", "things"), 0)
        for (other_id, predicted_id), count in self._overlaps.shared.items():
            if other_id == true_id:
                found = self._prediction.get(predicted_id)
                isthing = found is not None and found.category_id in self._things
                areas["void" if found is None else "things" if isthing else "stuff"] += count
        return max(areas, key=lambda name: areas[name])


def _most(areas: dict[int, int], area: int) -> int | None:
    """Return the key with the largest area, if that is most of `area`."""
    best = max(areas, key=lambda key: areas[key], default=None)
    return best if best is not None and _is_most(areas[best], area) else None


def _is_most(part: int, whole: int) -> bool:
    return part > MOST * whole
