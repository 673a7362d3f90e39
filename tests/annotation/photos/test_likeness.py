from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotation.photos.likeness import NEAR_DISTANCE, near_pairs, perceptual_hash

Picture = NDArray[np.uint8]


def landscape(seed: int, *, height: int = 240, width: int = 320) -> Picture:
    """Return a random BGR image with a few large soft areas, like an out-of-focus photo."""
    noise = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.uint8)
    large: Picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return large


def distance(a: Picture, b: Picture) -> int:
    return (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()


def test_a_smaller_compressed_or_brighter_copy_is_near() -> None:
    picture = landscape(0)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    brighter = cv2.convertScaleAbs(picture, alpha=0.9, beta=20)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for variant in (jpeg, half, brighter, grey):
        assert distance(picture, variant) <= NEAR_DISTANCE


def test_other_mirrored_and_rotated_images_are_far() -> None:
    picture = landscape(0)
    for other in (landscape(1), picture[:, ::-1], picture[::-1], np.rot90(picture)):
        assert distance(picture, np.ascontiguousarray(other)) > 2 * NEAR_DISTANCE


def test_images_of_one_colour_have_the_same_hash() -> None:
    black, white = np.zeros((1, 1), np.uint8), np.full((50, 70, 3), 255, np.uint8)
    assert perceptual_hash(black) == 0
    assert distance(np.full((9, 9), 7, np.uint8), white) == 0


def test_pairs_of_a_few_hashes() -> None:
    hashes = [0b0000, 0b0111, 0b0001, 0b1111 << 60]
    assert near_pairs(hashes, 0) == []
    assert near_pairs(hashes, 1) == [(0, 2)]
    assert near_pairs(hashes, 2) == [(0, 2), (1, 2)]
    assert near_pairs(hashes, 64) == list(itertools.combinations(range(4), 2))
    assert near_pairs([5, 5, 5], 0) == [(0, 1), (0, 2), (1, 2)]
    assert near_pairs([]) == near_pairs([2**64 - 1]) == []


@pytest.mark.parametrize("radius", [0, 3, 8, 20])
def test_pairs_equal_those_of_comparing_all_hashes(radius: int) -> None:
    rng = np.random.default_rng(radius)
    centres = rng.integers(0, 2**64, 40, dtype=np.uint64)
    hashes = []
    for _ in range(300):  # up to 12 bits away from one of 40 centres
        code = int(rng.choice(centres))
        for bit in rng.integers(0, 64, rng.integers(0, 13)):
            code ^= 1 << int(bit)
        hashes.append(code)
    numbered = list(enumerate(hashes))
    expected = [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(numbered, 2)
        if (a ^ b).bit_count() <= radius
    ]
    assert near_pairs(hashes, radius) == expected
    assert expected


def test_a_block_ends_within_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.photos.likeness._BLOCK", 15)
    assert near_pairs([9] * 7, 0) == list(itertools.combinations(range(7), 2))
