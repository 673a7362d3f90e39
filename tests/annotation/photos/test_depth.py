"""Photos of more than 8 bits per channel, and rotated TIFF files."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotation.photos.depth import scaled_to_8_bits
from annotation.photos.files import photo_size, read_header, read_photo
from base.errors import InputError

ORIENTATION = 0x0112


def test_values_are_scaled_from_the_darkest_to_the_brightest() -> None:
    values = np.array([[100, 355], [610, 1120]], np.uint16)
    assert scaled_to_8_bits(values).tolist() == [[0, 63], [127, 255]]
    assert scaled_to_8_bits(np.full((2, 2), 7, np.uint16)).tolist() == [[0, 0], [0, 0]]


def gradient() -> NDArray[np.uint16]:
    """(30, 40) values of 12 bits."""
    return np.linspace(0, 4095, 1200).reshape(30, 40).astype(np.uint16)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_values_of_12_bits_are_not_read_as_nearly_black(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient()).save(path)
    pixels = read_photo(path)
    assert (pixels.min(), pixels.max(), read_header(path).bits) == (0, 255, 16)
    assert np.abs(pixels[..., 0].astype(int) - gradient() // 16).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_of_16_bits_keep_their_hue(tmp_path: Path, suffix: str) -> None:
    path, dark = tmp_path / f"a.{suffix}", np.zeros((30, 40, 3), np.uint16)
    dark[:15] = (0, 500, 1000)  # BGR
    cv2.imwrite(str(path), dark)
    assert read_photo(path)[0, 0].tolist() == [0, 127, 255]
    assert read_header(path).bits == 16


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_other_photos_have_8_bits(tmp_path: Path, mode: str, kind: str) -> None:
    Image.new(mode, (40, 30)).save(tmp_path / f"a.{kind}")
    assert read_header(tmp_path / f"a.{kind}").bits == 8


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_other_values_are_refused_with_the_cause(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((30, 40), kind)).save(path)
    for read in (read_photo, read_header):
        with pytest.raises(InputError, match=r"a\.tif: expected 8 or 16 bits per channel, found"):
            read(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_rotated_tiff_is_read_as_pillow_shows_it(
    tmp_path: Path, orientation: int, compression: str | None
) -> None:
    path, pixels = tmp_path / "a.tif", np.zeros((30, 40, 3), np.uint8)
    pixels[:15, :20], pixels[:15, 20:], pixels[15:, :20] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    tags = {ORIENTATION: orientation}
    Image.fromarray(pixels).save(path, compression=compression, tiffinfo=tags)
    shown = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
    assert np.array_equal(read_photo(path)[..., ::-1], shown)
    assert photo_size(path) == shown.shape[:2]
