"""One kind of error for every false alarm and every missed segment.

The kinds are decided in the order of `KINDS`; docs/errors.md defines each in one sentence. Hits
have no kind here: what they lose by an IoU below 1 is the price of `outline`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

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
KINDS: tuple[Kind, ...] = get_args(Kind)
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

    @cached_property
    def _over(self) -> dict[int, dict[int, int]]:
        """The pixels of each true segment by predicted id, void included."""
        return _nested(self._overlaps.shared)

    @cached_property
    def _under(self) -> dict[int, dict[int, int]]:
        """The pixels of each predicted segment by true id, void included."""
        return _nested({(p, t): count for (t, p), count in self._overlaps.shared.items()})

    def _host(self, predicted_id: int) -> int | None:
        """Return the true segment of the same category with most of a predicted one's pixels."""
        area = self._overlaps.predicted_areas[predicted_id]
        area -= self._under[predicted_id].get(VOID, 0)
        category_id = self._prediction[predicted_id].category_id
        return _most(_of_category(self._under[predicted_id], self._truth, category_id), area)

    def _cover(self, true_id: int) -> int | None:
        """Return the predicted segment of the same category with most of a true one's pixels."""
        area, category_id = self._overlaps.true_areas[true_id], self._truth[true_id].category_id
        return _most(_of_category(self._over[true_id], self._prediction, category_id), area)

    def find_stuff_over_stuff(self) -> None:
        """Find stuff of which more than half lies under other stuff, and the stuff over it."""
        for truth in list(self._missed.values()):
            if self._is_on_other_stuff(truth, self._over[truth.id], self._prediction):
                self._add("stuff over stuff", truth.id, None, 0.0)
        for prediction in list(self._false.values()):
            if self._is_on_other_stuff(prediction, self._under[prediction.id], self._truth):
                self._add("stuff over stuff", None, prediction.id, 0.0)

    def _is_on_other_stuff(
        self, segment: Segment, pixels: Mapping[int, int], others: Mapping[int, Segment]
    ) -> bool:
        """Return whether most pixels of stuff are other stuff on the other side."""
        other_stuff = sum(
            count
            for other_id, count in pixels.items()
            if other_id in others
            and others[other_id].category_id not in {*self._things, segment.category_id}
        )
        return segment.category_id not in self._things and _is_most(
            other_stuff, sum(pixels.values())
        )

    def name_the_rest(self) -> None:
        """Call the remaining segments missed, with what lies in their place, and invented."""
        for true_id, truth in list(self._missed.items()):
            del self._missed[true_id]
            self.errors.append(Error("missed", truth, None, instead=self._instead(true_id)))
        for predicted_id in list(self._false):
            self._add("invented", None, predicted_id, 0.0)

    def _instead(self, true_id: int) -> str:
        areas = dict.fromkeys(("void", "stuff", "things"), 0)
        for predicted_id, count in self._over[true_id].items():
            found = self._prediction.get(predicted_id)
            isthing = found is not None and found.category_id in self._things
            areas["void" if found is None else "things" if isthing else "stuff"] += count
        return max(areas, key=lambda name: areas[name])


def _nested(counts: Mapping[tuple[int, int], int]) -> dict[int, dict[int, int]]:
    nested: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for (first, second), count in counts.items():
        nested[first][second] = count
    return nested


def _of_category(
    pixels: Mapping[int, int], segments: Mapping[int, Segment], category_id: int
) -> dict[int, int]:
    """Return the pixels that belong to segments of a category."""
    return {
        number: count
        for number, count in pixels.items()
        if number in segments and segments[number].category_id == category_id
    }


def _most(areas: dict[int, int], area: int) -> int | None:
    """Return the key with the largest area, if that is most of `area`."""
    best = max(areas, key=lambda key: areas[key], default=None)
    return best if best is not None and _is_most(areas[best], area) else None


def _is_most(part: int, whole: int) -> bool:
    return part > MOST * whole
