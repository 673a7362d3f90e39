"""Panoptic PNGs are read correctly, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.png import SegmentIds, encode_png, read_segment_ids, write_segment_ids

IDS = np.array([[5, 9, 0], [300, 65535, 1]])


def random_ids(seed: int) -> SegmentIds:
    """Rectangles with ids that use all three bytes."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2)
    ids = np.zeros((height, width), np.uint32)
    for value in rng.integers(0, 2**24, 5):
        y, x = rng.integers(0, height), rng.integers(0, width)
        ids[y : y + 30, x : x + 30] = value
    return ids


@pytest.mark.parametrize("seed", range(20))
def test_pngs_are_read_as_they_were_written_by_any_program(tmp_path: Path, seed: int) -> None:
    ids = random_ids(seed)
    write_segment_ids(tmp_path / "own.png", ids)
    pillow = np.asarray(Image.open(tmp_path / "own.png"), np.uint32)
    assert np.array_equal(pillow @ np.array([1, 256, 65536], np.uint32), ids)
    Image.fromarray(pillow.astype(np.uint8)).save(tmp_path / "other.png")
    for name in ("own.png", "other.png"):
        assert np.array_equal(read_segment_ids(tmp_path / name, ids.shape), ids)


def test_a_damaged_png_of_this_project_is_refused_or_has_the_same_ids(tmp_path: Path) -> None:
    ids, rng = random_ids(3), np.random.default_rng(0)
    data = encode_png(ids)
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (tmp_path / "a.png").write_bytes(damaged[: rng.integers(1, 2 * len(data))])
        try:
            assert np.array_equal(read_segment_ids(tmp_path / "a.png", ids.shape), ids)
        except InputError:
            refused += 1
    assert refused > 100


def test_16_bit_greyscale_values_are_ids(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), IDS.astype(np.uint16))
    assert np.array_equal(read_segment_ids(tmp_path / "a.png", (2, 3)), IDS)


def test_an_alpha_channel_does_not_change_ids(tmp_path: Path) -> None:
    pixels = np.stack([IDS & 255, IDS >> 8, IDS * 0, IDS * 0 + 7], axis=2).astype(np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    assert np.array_equal(read_segment_ids(tmp_path / "a.png", (2, 3)), IDS)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "8-bit greyscale"),
        ("P", "1-bit palette colours"),
        ("LA", "8-bit greyscale with alpha"),
        ("1", "1-bit greyscale"),
        ("16", "16-bit RGB"),
    ],
)
def test_other_pixels_are_refused_by_the_cause(tmp_path: Path, mode: str, kind: str) -> None:
    path = tmp_path / "a.png"
    if mode == "16":
        cv2.imwrite(str(path), np.zeros((2, 3, 3), np.uint16))
    else:
        Image.new(mode, (3, 2)).save(path)
    expected = f"whose colours are segment ids, or 16-bit greyscale ids, found a PNG in {kind}"
    with pytest.raises(InputError, match=expected):
        read_segment_ids(path, (2, 3))


def test_the_error_about_a_set_names_the_photo_too(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "x.png")
    photo = Photo(1, "street/a.jpg", 3, 2, "x.png", ())
    found = PanopticSet(
        tmp_path / "p.json", tmp_path, (Category(1, "c", True, (0, 0, 0)),), (photo,)
    )
    with pytest.raises(InputError, match=r"x\.png: .*8-bit greyscale \(photo street/a\.jpg\)"):
        found.segment_ids(photo)
