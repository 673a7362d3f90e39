"""Sizes, near misses, pixels and intervals, beside hand counts and hotcoco."""

from __future__ import annotations

import numpy as np
import pytest
from hotcoco import metrics, semantic

from conversion.coco.categories import Category
from evaluation.scores.bootstrap import draw_photos, interval
from evaluation.scores.counts import SIZES, count_segments
from evaluation.scores.pixels import count_pixels
from evaluation.scores.quality import panoptic_quality
from tests.evaluation.errors.damage import CATEGORIES, Damaged, damaged_photo


def one_thing(*, true: tuple[int, ...], predicted: tuple[int, ...], category: int = 1) -> Damaged:
    """Return a photo with a thing of category 1 and a predicted one: top, left, height, width."""
    photo = Damaged(np.random.default_rng(0))
    photo.paint(photo.true, (true[0], true[1], true[2], true[3]), 1)
    photo.paint(photo.predicted, (*predicted[:2], predicted[2], predicted[3]), category)
    return photo


@pytest.mark.parametrize(
    ("side", "size"), [(31, "small"), (32, "medium"), (95, "medium"), (96, "large")]
)
def test_segments_are_counted_by_their_size(side: int, size: str) -> None:
    """COCO's limits are 32 x 32 and 96 x 96 pixels."""
    rect = (0, 0, side, side)
    counts = count_segments([one_thing(true=rect, predicted=rect).match()], CATEGORIES)
    assert counts.tp[0, 0].tolist() == [float(name == size) for name in SIZES]


@pytest.mark.parametrize(
    ("width", "category", "near"),
    [(7, 1, 1), (6, 1, 0), (7, 2, 0), (11, 1, 0)],  # the IoU is a twentieth of the width
)
def test_a_near_miss_has_an_iou_above_three_tenths(width: int, category: int, near: int) -> None:
    photo = one_thing(true=(0, 0, 10, 20), predicted=(0, 0, 10, width), category=category)
    thing = panoptic_quality([photo.match()], CATEGORIES).categories["category 1"]
    assert (thing.near, thing.tp + thing.fn) == (near, 1)


def test_pixel_scores_are_those_of_hotcoco() -> None:
    """Predicted void is a class of its own for hotcoco, whose IoU is left out of the mean."""
    photos = [damaged_photo(seed) for seed in range(5)]
    for photo in photos:
        photo.true[:7] = 0
        photo.predicted[:, :9] = 0
    void = len(CATEGORIES)
    peer = semantic.SemanticEval(void + 1, ignore_index=255)
    for photo in photos:
        table = np.array([255, *(c - 1 for c in photo.categories.values())])
        predicted = np.where(photo.predicted == 0, void, table[photo.predicted])
        peer.update(table[photo.true], predicted)
    pixels = count_pixels([photo.match() for photo in photos], CATEGORIES)
    assert (pixels.confusion == peer.confusion()[:void]).all()
    assert pixels.confusion[:, void].any()
    expected = np.array(metrics.mean_iou(peer.confusion())["IoU"][:void])
    assert pixels.iou == pytest.approx(expected, abs=1e-12)
    assert pixels.mean_iou(np.ones((1, 5)))[0] == pytest.approx(expected.mean(), abs=1e-12)


def test_the_interval_of_a_mean_is_the_known_one() -> None:
    """The bootstrap interval of the mean of normal values is 1.96 standard errors to each side."""
    values = np.random.default_rng(1).normal(size=400)
    low, high = interval(draw_photos(400) @ values / 400)
    expected = values.mean() + 1.96 * values.std() / 20 * np.array([-1, 1])
    assert (low, high) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("photos", "rare"), [(39, True), (40, False)])
def test_categories_in_few_photos_are_rare(photos: int, rare: bool) -> None:
    rect = (0, 0, 10, 10)
    matches = [one_thing(true=rect, predicted=rect).match()] * photos
    counts = count_segments(matches, (*CATEGORIES, Category(99, "nowhere", True, (0, 0, 0))))
    found = counts.of_size(None).rare()
    assert (bool(found[0]), bool(found[-1])) == (rare, False)
