from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conversion.coco.cropped_mask import NO_PIXELS, CroppedMask, union

SQUARE = CroppedMask(np.ones((2, 2), bool), x=1, y=0)
BAR = CroppedMask(np.ones((1, 4), bool), x=0, y=1)


def picture(mask: CroppedMask) -> list[list[int]]:
    pixels: NDArray[np.uint8] = np.zeros((3, 5), np.uint8)
    mask.paint(pixels, 7)
    return pixels.tolist()


def test_paint_sets_the_pixels_of_the_region_only() -> None:
    ring = CroppedMask(np.array([[1, 1], [1, 0]], bool), x=3, y=1)
    assert picture(ring) == [[0, 0, 0, 0, 0], [0, 0, 0, 7, 7], [0, 0, 0, 7, 0]]
    assert picture(NO_PIXELS) == [[0] * 5] * 3


def test_union_covers_all_boxes() -> None:
    both = union([SQUARE, NO_PIXELS, BAR])
    assert picture(both) == [[0, 7, 7, 0, 0], [7, 7, 7, 7, 0], [0, 0, 0, 0, 0]]
    assert (both.x, both.y, both.area) == (0, 0, 6)
    assert union([]) is NO_PIXELS
    assert union([NO_PIXELS, BAR]) is BAR


def test_without_cuts_only_what_overlaps() -> None:
    far = CroppedMask(np.ones((9, 9), bool), x=40, y=40)
    assert picture(BAR.without(SQUARE, far)) == [[0] * 5, [7, 0, 0, 7, 0], [0] * 5]
    assert BAR.pixels.all()  # the masks themselves are unchanged


def test_measure_gives_the_tight_box() -> None:
    loose = CroppedMask(np.array([[0, 0, 0], [0, 1, 1], [0, 1, 0]], bool), x=10, y=20)
    assert loose.measure() == (3, (11, 21, 2, 2))
    assert NO_PIXELS.measure() is None
    assert CroppedMask(np.zeros((4, 4), bool)).measure() is None


def test_a_segment_is_cropped_to_its_box() -> None:
    ids = np.array([[5, 5, 0], [5, 9, 9]], np.uint32)
    found = CroppedMask.of_segment(ids, 9, (1, 0, 2, 2))
    assert found.pixels.tolist() == [[False, False], [True, True]]
    assert found.measure() == (2, (1, 1, 2, 1))
