from __future__ import annotations

import cv2
import numpy as np
import pytest

from conversion.config import Slivers
from conversion.painting.slivers import Cleaned, clean_slivers

DRAWN = """
11111.2222
11111.2222
1111133222
1122111332
1112211111
"""


def drawn_ids() -> np.ndarray:
    rows = DRAWN.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


def test_slivers_join_the_stuff_with_the_longest_border() -> None:
    """The 2s at the lower left are one piece of four pixels; 3 is a thing and stays."""
    ids, done = clean_slivers(drawn_ids(), Slivers(area=6), [1, 2])
    expected = drawn_ids()
    expected[3, 2:4] = expected[4, 3:5] = 1
    assert ids.tolist() == expected.tolist()
    assert done == Cleaned(moved=4, voided=0)
    ids, done = clean_slivers(drawn_ids(), Slivers(area=6, to="void"), [1, 2])
    expected[3, 2:4] = expected[4, 3:5] = 0
    assert ids.tolist() == expected.tolist()
    assert done == Cleaned(moved=0, voided=4)


def test_slivers_between_things_become_void_and_larger_ones_stay() -> None:
    between = np.array([[3, 3, 3], [3, 1, 3], [3, 3, 3]], np.uint8)
    ids, done = clean_slivers(between, Slivers(area=2), [1, 2])
    assert ids[1].tolist() == [3, 0, 3]
    assert done == Cleaned(moved=0, voided=1)
    assert clean_slivers(between, Slivers(area=1), [1, 2])[0].tolist() == between.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_slivers_that_become_void_are_the_components_of_opencv(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 30, 2)
    board = rng.integers(0, 4, -(-size // 2))
    ids = np.kron(board, np.ones((2, 2), int))[: size[0], : size[1]].astype(np.uint8)
    ids[rng.random(ids.shape) < 0.1] = 3  # 1 and 2 are stuff
    cleaned, done = clean_slivers(ids, Slivers(area=9, to="void"), [1, 2])
    expected = ids.copy()
    for value in (1, 2):
        mask = (ids == value).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for label, area in enumerate(stats[:, cv2.CC_STAT_AREA].tolist()):
            if label and area < 9:
                expected[labels == label] = 0
    assert cleaned.tolist() == expected.tolist()
    assert done == Cleaned(moved=0, voided=int((expected != ids).sum()))


def test_adjacent_slivers_are_all_reassigned() -> None:
    board = np.indices((9, 9)).sum(axis=0).astype(np.uint8) % 2 + 1
    ids, done = clean_slivers(board, Slivers(area=20), [1, 2])
    for value in (1, 2):
        _, _, stats, _ = cv2.connectedComponentsWithStats(
            (ids == value).astype(np.uint8), connectivity=4
        )
        assert (stats[1:, cv2.CC_STAT_AREA] >= 20).all()
    assert done.moved > 0
    assert (board == np.indices((9, 9)).sum(axis=0) % 2 + 1).all()


def test_reassigned_pixels_are_counted_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ids = rng.integers(0, 4, (9, 9)).astype(np.uint8)
        cleaned, done = clean_slivers(ids, Slivers(area=6), [1, 2])
        assert done.moved + done.voided == (ids != cleaned).sum()
