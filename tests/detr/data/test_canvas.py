"""Training views of the fast variant: photos at a random scale on one canvas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detr.data.canvas import GREY, CanvasView, canvas_view, shared_canvas
from detr.data.view import View
from tests.detr.configs import fast_config

CONFIG = fast_config(min_size=240, max_size=320)
PLAIN = replace(CONFIG, zoom=(1.0, 1.0), stretch=0, flip=False)


def test_the_canvas_has_the_mean_area_and_aspect_ratio_of_photos() -> None:
    assert shared_canvas(CONFIG, [(320, 240)] * 3) == (320, 256)
    assert shared_canvas(CONFIG, [(640, 480), (480, 640)]) == (288, 288)
    assert shared_canvas(CONFIG, [(2000, 100)]) == (320, 32)


def test_a_photo_and_its_ids_have_the_same_position() -> None:
    """The left two of three columns, enlarged twofold, at (1, 2) on a canvas of 6x7."""
    ids = np.array([[1, 2, 3], [4, 5, 6]], np.uint32)
    view = CanvasView(View(0, 0, 2, 2, 4, 4), left=1, top=2, canvas=(6, 7))
    moved = view.transform_ids(ids)
    assert moved.shape == (7, 6) and moved.dtype == np.uint32
    assert moved[2:6, 1:5].tolist() == [[1, 1, 2, 2]] * 2 + [[4, 4, 5, 5]] * 2
    assert moved[:2].sum() == moved[6:].sum() == moved[:, 0].sum() == moved[:, 5].sum() == 0
    photo = np.repeat(ids[..., None], 3, axis=2).astype(np.uint8) * 20
    placed = view.transform_photo(photo)
    assert placed.shape == (7, 6, 3)
    assert placed[2, [1, 4], 0].tolist() == [20, 40] and (placed[0] == GREY).all()


def test_without_augmentation_a_photo_has_the_size_of_training() -> None:
    """A photo of 640x480 pixels is trained on at 320x240, so 16 of 256 rows are void."""
    view = canvas_view(np.random.default_rng(0), PLAIN, (320, 256), width=640, height=480)
    assert view.view == View(0, 0, 640, 480, 320, 240)
    assert view.left == 0 and 0 <= view.top <= 16


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (2000, 300), (40, 30), (5, 3)])
def test_views_keep_proportions_within_the_stretch(size: tuple[int, int]) -> None:
    rng, (width, height) = np.random.default_rng(0), size
    views = [canvas_view(rng, CONFIG, (320, 256), width=width, height=height) for _ in range(200)]
    ids = np.ones((height, width), np.uint32)
    for each in views:
        view = each.view
        assert view.x >= 0 and view.x + view.width <= width and view.width > 0
        assert view.y >= 0 and view.y + view.height <= height and view.height > 0
        assert each.transform_ids(ids).sum() == view.out_width * view.out_height > 0
    if min(size) > 100:
        stretches = [
            np.log(v.view.out_width / v.view.width * v.view.height / v.view.out_height)
            for v in views
        ]
        assert np.abs(stretches).max() < 2 * CONFIG.stretch + 0.05
        assert abs(np.mean(stretches)) < 0.05
    assert {v.view.mirrored for v in views} == {False, True}
