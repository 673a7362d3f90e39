from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.rle import Rle, decode_rle, encode_cropped, encode_mask


@pytest.mark.parametrize("seed", range(100))
def test_encoding_equals_that_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2).tolist()
    mask = rng.random((height, width)) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    expected = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    assert encode_mask(mask) == {"size": [height, width], "counts": expected["counts"].decode()}
    y, x = (int(rng.integers(0, size)) for size in mask.shape)
    part = np.zeros_like(mask)
    part[y:, x:] = mask[y:, x:]
    expected = coco_mask.encode(np.asfortranarray(part).view(np.uint8))
    code = encode_cropped(CroppedMask(mask[y:, x:], x, y), height=height, width=width)
    assert code["counts"] == expected["counts"].decode()


@pytest.mark.parametrize("seed", range(20))
def test_decoding_inverts_the_encoding_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 50, 2).tolist()
    mask = rng.random((height, width)) < rng.choice([0.01, 0.3, 0.99])
    if seed % 3:  # large regions: long runs
        mask = cv2.blur(mask.astype(np.float32), (9, 9)) > 0.3
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    found = decode_rle(Rle((height, width), encoded["counts"].decode()), (height, width))
    whole = np.zeros((height, width), bool)
    found.paint(whole, True)
    got = found.pixels
    assert np.array_equal(whole, mask)
    assert not mask.any() or (got[[0, -1]].any(axis=1).all() and got[:, [0, -1]].any(axis=0).all())


def test_empty_runs_change_nothing() -> None:
    found = decode_rle(Rle((2, 3), [1, 0, 1, 1, 0, 2, 1, 0, 0]), (2, 3))
    assert (found.x, found.y, found.pixels.tolist()) == (1, 0, [[True, True], [True, False]])


def test_an_rle_without_set_pixels_gives_one_unset_pixel() -> None:
    for counts in ([6], [2, 0, 4]):
        found = decode_rle(Rle((2, 3), counts), (2, 3))
        assert (found.x, found.y, found.pixels.tolist()) == (0, 0, [[False]])
