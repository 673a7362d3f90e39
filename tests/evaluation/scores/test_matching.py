from __future__ import annotations

import numpy as np
import pytest

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment, measure
from conversion.coco.png import SegmentIds
from evaluation.scores.matching import PhotoMatch, match_photo
from evaluation.scores.quality import panoptic_quality

THING, OTHER, STUFF = 1, 2, 3
CATEGORIES = (
    Category(THING, "thing", True, (1, 1, 1)),
    Category(OTHER, "other", True, (2, 2, 2)),
    Category(STUFF, "stuff", False, (3, 3, 3)),
)


def photo(ids: SegmentIds, categories: dict[int, int], crowd: tuple[int, ...] = ()) -> Photo:
    segments = tuple(
        Segment(i, categories[i], area, bbox, iscrowd=i in crowd)
        for i, (area, bbox) in measure(ids).items()
    )
    return Photo(1, "a.jpg", ids.shape[1], ids.shape[0], "a.png", segments)


def match(
    truth: list[list[int]],
    truth_categories: dict[int, int],
    prediction: list[list[int]],
    prediction_categories: dict[int, int],
    crowd: tuple[int, ...] = (),
) -> PhotoMatch:
    true_ids = np.array(truth, np.uint32)
    predicted_ids = np.array(prediction, np.uint32)
    return match_photo(
        photo(true_ids, truth_categories, crowd),
        true_ids,
        photo(predicted_ids, prediction_categories),
        predicted_ids,
    )


def test_true_positives_false_positives_and_false_negatives() -> None:
    found = match(
        [[1, 1, 1, 2], [5, 5, 5, 2]],
        {1: THING, 2: OTHER, 5: STUFF},
        [[9, 9, 9, 9], [8, 8, 8, 7]],
        {9: THING, 8: STUFF, 7: OTHER},
    )
    assert [(p.truth.id, p.prediction.id, p.iou) for p in found.tp] == [(1, 9, 0.75), (5, 8, 1.0)]
    assert [s.id for s in found.fn] == [2]  # an IoU of 1/2 is not greater than 1/2
    assert [s.id for s in found.fp] == [7]
    assert found.pq == pytest.approx(1.75 / 3)

    quality = panoptic_quality([found], CATEGORIES)
    assert quality.categories["thing"].pq == 0.75
    assert (quality.categories["other"].fp, quality.categories["other"].fn) == (1, 1)
    assert quality.things.pq == pytest.approx((0.75 + 0) / 2)
    assert quality.stuff.pq == 1
    assert quality.all.pq == pytest.approx(1.75 / 3)
    assert quality.all.n == 3


def test_sq_and_rq_multiply_to_pq() -> None:
    found = match([[1, 1, 1, 2]], {1: THING, 2: THING}, [[9, 9, 9, 9]], {9: THING})
    thing = panoptic_quality([found], CATEGORIES).categories["thing"]
    assert (thing.sq, thing.rq) == (0.75, pytest.approx(1 / 1.5))
    assert thing.pq == pytest.approx(0.5)


def test_segments_of_different_categories_do_not_match() -> None:
    found = match([[1, 1]], {1: THING}, [[9, 9]], {9: OTHER})
    assert (found.tp, len(found.fp), len(found.fn)) == ((), 1, 1)


@pytest.mark.parametrize(("official", "false"), [(False, []), (True, [9])])
def test_several_crowds_of_a_category_are_all_ignored(official: bool, false: list[int]) -> None:
    """panopticapi keeps only the last crowd of a category."""
    true, predicted = np.array([[1, 1, 2, 3]], np.uint32), np.array([[9, 9, 0, 0]], np.uint32)
    truth = photo(true, {1: THING, 2: THING, 3: STUFF}, crowd=(1, 2))
    other = photo(predicted, {9: THING})
    found = match_photo(truth, true, other, predicted, official=official)
    assert [segment.id for segment in found.fp] == false


def test_void_pixels_are_ignored() -> None:
    found = match([[1, 1, 0, 0, 0]], {1: THING}, [[9, 9, 9, 9, 9]], {9: THING})
    assert [p.iou for p in found.tp] == [1.0]
    on_void = match([[0, 0, 1]], {1: THING}, [[9, 9, 9]], {9: OTHER})
    assert on_void.fp == ()  # two thirds of it lie on void
    mostly_not = match([[0, 1, 1]], {1: THING}, [[9, 9, 9]], {9: OTHER})
    assert [s.id for s in mostly_not.fp] == [9]


def test_a_crowd_hides_false_positives_of_its_category_and_is_never_missed() -> None:
    crowd = match([[1, 1, 1]], {1: THING}, [[9, 9, 0]], {9: THING}, crowd=(1,))
    assert (crowd.tp, crowd.fp, crowd.fn) == ((), (), ())
    other = match([[1, 1, 1]], {1: THING}, [[9, 9, 0]], {9: OTHER}, crowd=(1,))
    assert [s.id for s in other.fp] == [9]


def test_categories_that_do_not_occur_do_not_count() -> None:
    found = match([[1]], {1: THING}, [[9]], {9: THING})
    quality = panoptic_quality([found], CATEGORIES)
    assert (quality.all.pq, quality.all.n) == (1, 1)
    assert (quality.stuff.pq, quality.stuff.n) == (0, 0)


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match=r"a.jpg: expected .* of 2x1 pixels .*, found 1x1"):
        match([[1, 1]], {1: THING}, [[9]], {9: THING})
