from __future__ import annotations

import base64
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from annotation.photos.files import open_embedded, open_photo, read_header, read_photo
from base.errors import InputError
from tests.annotation.mutate import bomb

ORIENTATION = 0x0112


def save(path: Path, *, orientation: int | None = None, xmp: bytes | None = None) -> Path:
    """Save a photo of 40x30 pixels."""
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    options = {} if xmp is None else {"xmp": xmp}
    Image.new("RGB", (40, 30)).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("orientation", "swapped"), [(1, False), (3, False), (6, True), (8, True)])
def test_the_size_includes_the_exif_rotation_as_in_opencv(
    tmp_path: Path, suffix: str, orientation: int, swapped: bool
) -> None:
    path = save(tmp_path / f"a.{suffix}", orientation=orientation)
    header = read_header(path)
    assert header.size == ((40, 30) if swapped else (30, 40))
    assert header.swaps_sides == swapped
    pixels = cv2.imread(str(path))
    assert pixels is not None
    assert pixels.shape[:2] == header.size


def test_rotations_in_xmp_are_ignored_as_in_labelme_and_opencv(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    assert read_header(save(tmp_path / "a.jpg", xmp=xmp)).size == (30, 40)


def test_exif_data_after_the_pixels_of_a_png_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    body = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk + data[-12:])
    assert read_header(path).size == (40, 30)


def test_damaged_exif_data_is_ignored(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_header(tmp_path / "a.jpg").size == (30, 40)


def test_the_pixels_of_a_png_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bomb(12_000, 12_000))  # its pixels are missing
    assert read_header(path).size == (12_000, 12_000)


def tiff_header(width: int, height: int) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 9)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", bomb(60_000, 60_000), "at most 178,956,970 pixels, found 60000x60000"),
        ("a.tif", tiff_header(60_000, 60_000), "pixels, found 60000x60000"),
        ("a.png", bomb(2**31 - 1, 2**31 - 1), "expected at most 178,956,970 pixels"),
        ("a.jpg", b"no photo", "not a JPEG, PNG, BMP, TIFF or WEBP image"),
        ("a.jpg", b"", "not a JPEG"),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG"),
    ],
)
def test_files_that_are_not_photos_are_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_header(tmp_path / name)


def test_paths_that_are_not_regular_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(1 << 40)
    for name, message in [
        ("pipe.jpg", "is not a regular file"),
        ("zero.jpg", "is not a regular file"),
        ("loop.jpg", "symbolic links"),
        ("huge.jpg", "at most 512 MB"),
        ("gone.jpg", "No such file"),
    ]:
        with pytest.raises(InputError, match=message):
            read_header(tmp_path / name)


def test_an_embedded_photo_is_not_rotated() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG", exif=exif)
    with open_embedded(base64.b64encode(out.getvalue()).decode()) as image:
        assert image.size == (40, 30)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_pixels_are_read_upright_in_the_order_blue_green_red(tmp_path: Path, suffix: str) -> None:
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[:, :20] = (250, 0, 0)  # red on the left as stored, so at the top once rotated
    exif = Image.Exif()
    if suffix not in ("bmp", "tif"):
        exif[ORIENTATION] = 6
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = read_photo(tmp_path / f"a.{suffix}")
    red, other = pixels[8, 8], pixels[-8, -8]
    assert pixels.dtype == np.uint8
    assert pixels.shape == ((40, 30, 3) if suffix not in ("bmp", "tif") else (30, 40, 3))
    assert np.abs(red.astype(int) - (0, 0, 250)).max() < 12 and other.max() < 12


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_only_complete_photos_are_read(tmp_path: Path, suffix: str) -> None:
    """Some phones append other data to a complete photo, which is allowed."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    complete = path.read_bytes()
    for data in (complete, complete + b"more data of the phone"):
        path.write_bytes(data)
        assert read_photo(path).shape == (40, 60, 3)
    path.write_bytes(complete[: len(complete) * 2 // 3])
    with pytest.raises(InputError, match=rf"a\.{suffix}: can"):
        read_photo(path)


def test_reading_refuses_other_files_and_large_photos(tmp_path: Path) -> None:
    for name, data, message in [
        ("a.jpg", b"no photo", "a.jpg: cannot be read as a photo: not a JPEG"),
        ("b.png", bomb(60_000, 60_000), "b.png: expected at most 178,956,970 pixels"),
        ("c.png", bomb(100, 100), "c.png: cannot be read as a photo: its pixels"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_photo(tmp_path / name)
    with pytest.raises(InputError, match=r"d.jpg: .*No such file"):
        read_photo(tmp_path / "d.jpg")


def test_the_pixel_limit_of_pillow_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1_000_000  # importing Labelme, as other tests do, removes Pillow's own
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "large.png").write_bytes(bomb(12_000, 12_000))  # Pillow would warn
    with warnings.catch_warnings(action="error"), open_photo(tmp_path / "large.png") as image:
        assert image.size == (12_000, 12_000)
    assert limit == Image.MAX_IMAGE_PIXELS
