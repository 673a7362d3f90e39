from __future__ import annotations

import cv2
import numpy as np
import pytest

from conversion.coco.cropped_mask import CroppedMask
from conversion.painting.raster import polygon_masks
from conversion.proposing.shapes import LEAST_IOU, outlines_of

SIZE = 80


def drawn(*polygons: list[tuple[int, int]]) -> np.ndarray:
    picture = np.zeros((SIZE, SIZE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(picture, [np.array(polygon)], 1)
    return picture.astype(bool)


def disc(radius: int) -> np.ndarray:
    picture = np.zeros((SIZE, SIZE), np.uint8)
    return cv2.circle(picture, (40, 40), radius, 1, -1).astype(bool)


@pytest.mark.parametrize(
    ("mask", "most"),
    [
        (drawn([(10, 10), (50, 10), (50, 30), (10, 30)]), 4),
        (drawn([(40, 5), (75, 70), (5, 60)]), 4),
        (drawn([(5, 5), (60, 5), (60, 20), (20, 20), (20, 70), (5, 70)]), 6),
        (disc(30), 9),
        (drawn([(0, 0), (79, 0), (60, 50), (0, 79)]), 5),  # at the border of the picture
        (disc(2), 18),  # fewer would miss more than a twentieth of 21 pixels
        (drawn([(7, 7), (7, 7)]), 4),  # one pixel
    ],
)
def test_outlines_have_few_vertices_and_cover_the_mask(mask: np.ndarray, most: int) -> None:
    (outline,) = outlines_of(CroppedMask(mask), width=SIZE, height=SIZE)
    assert len(outline) <= most
    assert np.array(outline).min() >= 0 and np.array(outline).max() <= SIZE
    (filled,) = polygon_masks([np.array(outline)], height=SIZE, width=SIZE)
    painted = np.zeros((SIZE, SIZE), bool)
    filled.paint(painted, 1)
    assert (painted & mask).sum() / (painted | mask).sum() >= LEAST_IOU


def test_parts_are_separate_and_tiny_ones_left_out() -> None:
    mask = drawn([(5, 5), (30, 5), (30, 30), (5, 30)], [(50, 50), (60, 50), (60, 60), (50, 60)])
    mask[70, 70] = True
    first, second = map(np.array, outlines_of(CroppedMask(mask, x=100), width=200, height=90))
    assert first.min() == 5 and first[:, 0].min() == 105
    assert second.min() == 50
