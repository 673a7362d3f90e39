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
from conversion.coco.png import read_segment_ids

IDS = np.array([[5, 9, 0], [300, 65535, 1]])


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
