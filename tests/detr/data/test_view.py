"""Views keep the aspect ratio of photos and stay inside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detr.config import TrainConfig
from detr.data.view import View, random_view, whole_training_view, whole_view
from tests.detr.configs import fast_config

CONFIG = TrainConfig(min_size=40, max_size=80, train_sizes=(40,), flip=False, crop=0)


def test_whole_views_are_limited_by_the_shorter_and_the_longer_side() -> None:
    assert whole_view(CONFIG, width=100, height=50) == View(0, 0, 100, 50, 80, 40)
    assert whole_view(CONFIG, width=125, height=50) == View(0, 0, 125, 50, 80, 32)
    # no side is shorter than the backbone's largest stride
    assert whole_view(CONFIG, width=400, height=50) == View(0, 0, 400, 50, 80, 32)
    fast = fast_config(min_size=40, max_size=80, test_scale=1)  # pads photos instead
    assert whole_view(fast, width=400, height=50) == View(0, 0, 400, 50, 80, 10)


def test_photos_may_be_larger_in_testing_than_in_training() -> None:
    config = fast_config(min_size=240, max_size=320, test_scale=1.5)
    assert whole_view(config, width=640, height=480) == View(0, 0, 640, 480, 480, 360)
    assert whole_training_view(config, width=640, height=480) == View(0, 0, 640, 480, 320, 240)


def test_random_views_are_crops_of_at_least_half_the_sides() -> None:
    rng, config = np.random.default_rng(0), replace(CONFIG, crop=1, flip=True)
    views = [random_view(rng, config, width=100, height=60) for _ in range(50)]
    assert all(v.x + v.width <= 100 and v.y + v.height <= 60 for v in views)
    assert all(v.width >= 50 and v.height >= 30 for v in views)
    assert {v.mirrored for v in views} == {False, True}


def test_photo_and_ids_are_transformed_in_the_same_way() -> None:
    """The left half of 4x2 pixels at twice the size, mirrored."""
    ids = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint32)
    view = View(0, 0, 2, 2, 4, 4, mirrored=True)
    expected = [[2, 2, 1, 1], [2, 2, 1, 1], [6, 6, 5, 5], [6, 6, 5, 5]]
    assert view.transform_ids(ids).tolist() == expected
    photo = np.repeat(ids[..., None], 3, axis=2).astype(np.uint8) * 20
    seen = view.transform_photo(photo)
    assert seen.shape == (4, 4, 3)
    assert seen[0, [0, -1], 0].tolist() == [40, 20] and seen[-1, [0, -1], 0].tolist() == [120, 100]
