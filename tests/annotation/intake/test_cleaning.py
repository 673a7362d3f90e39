from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from annotation.intake.cleaning import CleanPhoto, RefusedError, clean_frame, clean_photo
from annotation.photos.depth import scaled_to_8_bits
from annotation.photos.files import photo_size
from tests.annotation.photos.test_likeness import landscape

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li photoshop:City="Bern"/></x:xmpmeta>'
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x5a\0\x04Bern\0"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and white quarters with soft stripes: every orientation looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 220
    pixels[: height // 2, width // 2 :, 1] = 220
    pixels[height // 2 :, : width // 2, 2] = 220
    pixels[height // 2 :, width // 2 :] = 220
    pixels += np.arange(width, dtype=np.uint8)[None, :, None] // 4
    return Image.fromarray(pixels)


def exif(*, orientation: int | None = None, gps: bool = False) -> bytes:
    block = Image.Exif()
    block[ExifTags.Base.Make] = "Camera"
    block[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09"}
    if orientation:
        block[ExifTags.Base.Orientation] = orientation
    if gps:
        block[ExifTags.IFD.GPSInfo] = {1: "N", 2: (46.0, 57.0, 3.0), 3: "E", 4: (7.0, 26.0, 2.0)}
    return block.tobytes()


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    length = (len(payload) + 2).to_bytes(2, "big")
    return jpeg[:2] + bytes([0xFF, marker]) + length + payload + jpeg[2:]


def opened(photo: CleanPhoto | bytes) -> Image.Image:
    return Image.open(io.BytesIO(photo if isinstance(photo, bytes) else photo.data))


def pixels(photo: CleanPhoto | bytes | Image.Image) -> NDArray[np.int64]:
    image = photo if isinstance(photo, Image.Image) else opened(photo)
    return np.asarray(image.convert("RGB")).astype(np.int64)


def assert_no_location(data: bytes) -> None:
    assert b"Bern" not in data
    assert not {ExifTags.IFD.GPSInfo, 700, 33723} & opened(data).getexif().keys()
    assert not opened(data).getexif().get_ifd(ExifTags.IFD.GPSInfo)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_photo_that_needs_no_change_keeps_its_bytes(kind: str) -> None:
    options = {} if kind == "BMP" else {"exif": exif(orientation=1)}
    data = saved(scene(), kind, **options)
    photo = clean_photo(data, long_side=64)
    assert photo.data == data
    assert photo.suffixes[0].lstrip(".") in kind.lower() + ".jpg"


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_exif_rotation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    tagged = saved(scene(), kind, exif=exif(orientation=orientation))
    photo = clean_photo(tagged)
    path = tmp_path / f"a{photo.suffixes[0]}"
    path.write_bytes(photo.data)
    exact = opened(saved(scene(), "PNG", exif=exif(orientation=orientation)))
    expected = pixels(ImageOps.exif_transpose(exact))
    assert np.abs(pixels(photo) - expected).mean() < (1 if kind in ("PNG", "TIFF") else 8)
    assert ExifTags.Base.Orientation not in opened(photo).getexif()
    assert photo_size(path) == expected.shape[:2]


def test_a_jpeg_loses_its_location_and_no_pixel_changes() -> None:
    plain = saved(scene(), exif=exif(gps=True), icc_profile=PROFILE, xmp=XMP, comment=b"in Bern")
    data = with_segment(plain, 0xED, IPTC)
    assert b"Bern" in data
    photo = clean_photo(data)
    assert_no_location(photo.data)
    assert (pixels(photo) == pixels(data)).all()
    assert opened(photo).info["icc_profile"] == PROFILE
    details = opened(photo).getexif()
    assert details[ExifTags.Base.Make] == "Camera"
    assert details.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal][:4] == "2024"
    assert clean_photo(photo.data).data == photo.data


@pytest.mark.parametrize(
    "data",
    [
        saved(scene(), exif=exif(gps=True)),
        saved(scene(), xmp=XMP),
        with_segment(saved(scene()), 0xED, IPTC),
        saved(scene(), comment="Lage: Country Bern"),
        saved(scene(), exif=exif(gps=True), progressive=True),
        saved(scene()) + b"\0\0ftypmp42 a motion photo's video, filmed in Bern",
    ],
    ids=["gps", "xmp", "iptc", "comment", "progressive", "trailer"],
)
def test_every_kind_of_location_in_a_jpeg_is_removed(data: bytes) -> None:
    photo = clean_photo(data)
    assert_no_location(photo.data)
    assert (pixels(photo) == pixels(data)).all()


def test_metadata_without_a_location_is_kept() -> None:
    notes = XMP.replace(b'photoshop:City="Bern"', b'xmp:Rating="5"')
    data = saved(scene(), xmp=notes, comment=b"by Anna")
    assert clean_photo(data).data == data


def test_the_second_image_of_a_file_is_removed() -> None:
    second = opened(saved(scene(), exif=exif(gps=True)))
    data = saved(scene(), "MPO", save_all=True, append_images=[second])
    assert opened(data).format == "MPO"
    photo = clean_photo(data)
    assert opened(photo).format == "JPEG"
    assert_no_location(photo.data)
    assert len(photo.data) < len(data) * 2 / 3


def png_with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return saved(scene(), "PNG", pnginfo=texts, icc_profile=PROFILE)


@pytest.mark.parametrize(
    "data",
    [
        saved(scene(), "PNG", exif=exif(gps=True)),
        png_with_texts(),
        saved(scene(), "TIFF", exif=exif(gps=True)),
        saved(scene(), "TIFF", tiffinfo={700: XMP}),
        saved(scene(), "WEBP", exif=exif(gps=True), lossless=True),
        saved(scene(), "WEBP", xmp=XMP, lossless=True),
    ],
    ids=["png-gps", "png-xmp", "tiff-gps", "tiff-xmp", "webp-gps", "webp-xmp"],
)
def test_other_formats_lose_their_location(data: bytes) -> None:
    photo = clean_photo(data)
    assert photo.data != data
    assert_no_location(photo.data)
    assert opened(photo).format == opened(data).format
    assert np.abs(pixels(photo) - pixels(data)).mean() < 3
    assert opened(photo).info.get("icc_profile") == opened(data).info.get("icc_profile")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_the_longer_side_is_limited_in_every_mode(mode: str) -> None:
    expected = scene().convert("L" if mode in ("L", "LA", "I;16") else "RGB")
    if mode == "I;16":
        values = np.asarray(expected).astype(np.uint16) * 16  # 12 bits
        image, expected = Image.fromarray(values), Image.fromarray(scaled_to_8_bits(values))
    else:
        image = scene().convert(mode)
    data = saved(image, "TIFF" if mode == "CMYK" else "PNG")
    small = opened(clean_photo(data, long_side=16))
    assert small.size == (16, 12)
    expected = expected.resize((16, 12))
    if mode not in ("1", "P"):
        assert np.abs(pixels(small) - pixels(expected)).mean() < 8
    assert opened(clean_photo(data, long_side=65)).size == (64, 48)


def test_a_rotated_photo_is_limited_and_keeps_its_profile() -> None:
    data = saved(scene(), exif=exif(orientation=6, gps=True), icc_profile=PROFILE)
    photo = clean_photo(data, long_side=32)
    assert opened(photo).size == (24, 32)
    assert opened(photo).info["icc_profile"] == PROFILE
    assert_no_location(photo.data)


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims width x height pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    empty = zlib.compress(b"")
    body = struct.pack(">I", len(empty)) + b"IDAT" + empty
    body += struct.pack(">I", zlib.crc32(b"IDAT" + empty))
    return b"\x89PNG\r\n\x1a\n" + chunk + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bomb(50_000, 40_000), "at most 178,956,970 pixels, found 50000x40000"),
        (bomb(30_000, 5_000), "cannot be decoded"),  # not too large, but without pixels
        (saved(scene(320, 240))[:-900], "cannot be decoded: image file is truncated"),
        (b"", "not a JPEG"),
        (b"<html>not found</html>", "not a JPEG, PNG, BMP, TIFF or WEBP image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG"),
        (saved(scene(), "GIF"), "not a JPEG"),
        (saved(Image.new("F", (9, 9)), "TIFF"), "floating-point values"),
    ],
    ids=["bomb", "empty-picture", "truncated", "empty", "html", "eps", "gif", "float"],
)
def test_files_that_are_not_photos_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(RefusedError, match=reason):
        clean_photo(data)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_cleaning_hardly_changes_the_hash() -> None:
    upright = Image.fromarray(landscape(0))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    data = saved(turned, quality=95, exif=exif(orientation=6))
    small = clean_photo(data, long_side=100).likeness
    assert (small ^ clean_photo(saved(upright, quality=95)).likeness).bit_count() <= 4


def test_a_frame_becomes_a_jpeg() -> None:
    frame = np.ascontiguousarray(np.asarray(scene())[..., ::-1])
    photo = clean_frame(frame, long_side=32)
    assert opened(photo).size == (32, 24)
    assert np.abs(pixels(clean_frame(frame)) - pixels(scene())).mean() < 3
