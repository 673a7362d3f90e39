"""Two predictions of the same photos: small losses are seen, and equal predictions are equal."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from conversion.coco.categories import Category
from evaluation.scores.comparison import Comparison, compare_scores
from evaluation.scores.counts import count_segments
from evaluation.scores.matching import PhotoMatch
from evaluation.scores.quality import quality_of
from evaluation.scores.scores import Scores
from tests.evaluation.errors.damage import CATEGORIES, Damaged, damaged_photo

PHOTOS = 60


def scores(photos: list[Damaged]) -> Scores:
    return scores_of([photo.match() for photo in photos], CATEGORIES)


def scores_of(matches: list[PhotoMatch], categories: tuple[Category, ...]) -> Scores:
    counts = count_segments(matches, categories)
    quality = quality_of(counts.of_size(None).total(), categories)
    return Scores(quality, None, None, tuple(matches), categories, counts)


def without_hits(photos: list[Damaged], share: float, seed: int) -> list[Damaged]:
    """Return the photos with this share of the hits removed from the prediction."""
    rng = np.random.default_rng(seed)
    changed = copy.deepcopy(photos)
    for photo in changed:
        hits = [pair.prediction.id for pair in photo.match().tp]
        lost = [number for number in hits if rng.random() < share]
        photo.predicted[np.isin(photo.predicted, lost)] = 0
    return changed


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_of_one_hit_in_twenty_is_seen(seed: int) -> None:
    """The intervals of the two scores overlap; only the paired difference shows it."""
    photos = [damaged_photo(1000 * seed + number) for number in range(PHOTOS)]
    before, after = scores(photos), scores(without_hits(photos, 0.05, seed))
    found = compare_scores(before, after)
    assert found.is_worse
    assert "a significant drop" in found.sentence()
    low = np.percentile(before.samples.groups["all"].pq, 2.5)
    high = np.percentile(after.samples.groups["all"].pq, 97.5)
    assert low < high
    backwards = compare_scores(after, before)
    assert not backwards.is_worse and backwards.scores["PQ"].is_significant


def test_equal_predictions_do_not_differ() -> None:
    photos = [damaged_photo(number) for number in range(10)]
    found = compare_scores(scores(photos), scores(photos))
    assert not found.is_worse
    assert found.scores["PQ"].interval == (0, 0)
    assert not any(change.is_significant for change in found.categories.values())


def test_the_photos_that_changed_most_come_first() -> None:
    photos = [damaged_photo(number) for number in range(4)]
    changed = copy.deepcopy(photos)
    changed[2].predicted[:] = 0
    found = compare_scores(scores(photos), scores(changed))
    assert found.photos[0].after == 0
    assert {photo.after - photo.before for photo in found.photos[1:]} == {0}


def test_without_segments_there_is_nothing_to_compare() -> None:
    empty = Damaged(np.random.default_rng(0))
    empty.true[:] = empty.predicted[:] = 0
    found: Comparison = compare_scores(scores([empty]), scores([empty]))
    assert not found.is_worse
    assert found.sentence() == "PQ -, because there are no segments to compare"
    assert found.as_json()["scores"]["PQ"]["difference"] is None
    assert found.table().row_count
