"""The rankings with which `label-errors` is compared put wrong labels first, too."""

from __future__ import annotations

import pytest

from benchmarks.rankings import Ranked, mistakenness, objectlab, objectlab_trusting
from conversion.coco.panoptic import Photo, Segment
from evaluation.scores.matching import Overlaps, PhotoMatch

THINGS = {7: "box", 9: "disc"}
PLACES = {"left": (0, 0, 10, 10), "middle": (40, 0, 10, 10), "right": (80, 0, 10, 10)}


def photo(scores: float | None, **categories: int) -> Photo:
    segments = [
        Segment(number, category, 100, PLACES[place], score=scores)
        for number, (place, category) in enumerate(categories.items(), start=1)
    ]
    return Photo(1, "a.jpg", 100, 50, "a.png", (*segments, Segment(99, 3, 900, (0, 20, 100, 9))))


def first(ranking: list[Ranked]) -> set[tuple[float, ...]]:
    """The two most suspicious boxes."""
    return {tuple(one.xywh) for one in sorted(ranking, key=lambda one: -one.score)[:2]}


@pytest.mark.parametrize("rank", [objectlab, objectlab_trusting, mistakenness])
def test_a_swapped_and_a_missing_label_come_first(rank, mongo: str) -> None:  # type: ignore[no-untyped-def]
    truth, prediction = photo(None, right=9, left=7), photo(0.97, left=9, middle=7, right=9)
    match = PhotoMatch(truth, prediction, (), (), (), Overlaps({}))
    found = list(rank([match], THINGS, 5))
    assert first(found) == {PLACES["left"], PLACES["middle"]}
    assert len(found) == 3  # the label on the right is in its place
    assert {(one.seed, one.file_name) for one in found} == {(5, "a.jpg")}


def test_only_the_second_objectlab_trusts_low_scores() -> None:
    truth, prediction = photo(None, left=7, right=9), photo(0.6, left=9, right=9)
    match = PhotoMatch(truth, prediction, (), (), (), Overlaps({}))
    scores = [[o.score for o in r([match], THINGS, 0)] for r in (objectlab, objectlab_trusting)]
    assert scores[0] == [0, 0]
    assert scores[1][0] > scores[1][1] == 0
