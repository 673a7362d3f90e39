"""Metadata of a photo: finding and removing the location where it was taken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PIL import ExifTags, Image

_GPS_TAG = re.compile(rb"\x25\x88[\x04\x0d]\x00|\x88\x25\x00[\x04\x0d]")  # EXIF, either byte order
_IPTC_LOCATION = re.compile(rb"\x1c\x02[\x1a\x1b\x5a\x5c\x5f\x64\x65]")  # city, country, ...
_XMP_LOCATION = re.compile(
    rb"latitude|longitude|altitude|location|city|country|state|province|geotag", re.IGNORECASE
)
_GEOTIFF = {33550, 33922, 34264, 34735, 34736, 34737, 42112}
_KEPT_IFD0 = ("Make", "Model", "DateTime")
_KEPT_EXIF = (
    "DateTimeOriginal",
    "ExposureTime",
    "FNumber",
    "ISOSpeedRatings",
    "FocalLength",
    "FocalLengthIn35mmFilm",
    "LensModel",
    "ColorSpace",
)

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")  # no stuffed byte, restart or fill byte
_EOI, _SOS, _COMMENT, _APP1 = 0xD9, 0xDA, 0xFE, 0xE1
_NEEDED = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}  # for pixels and colours
_LONGEST_SEGMENT = 65533


def may_have_location(payload: bytes) -> bool:
    """Return whether EXIF, XMP, IPTC or text may contain the location of a photo.

    This searches the raw bytes, so it finds what a parser of one format misses, such as XMP inside
    EXIF or a damaged directory. A false positive only loses other metadata.
    """
    if _GPS_TAG.search(payload) or _IPTC_LOCATION.search(payload):
        return True
    return _XMP_LOCATION.search(payload.replace(b"\0", b"")) is not None  # also in UTF-16


def image_has_location(image: Image.Image) -> bool:
    """Return whether the metadata of a decoded image of any format may have a location."""
    exif = image.getexif()
    if ExifTags.Base.GPSInfo in exif or exif.keys() & _GEOTIFF:
        return True
    info = {str(key): value for key, value in image.info.items() if key != "icc_profile"}
    if any(key.startswith("Raw profile type") for key in info):  # EXIF or IPTC as hex digits
        return True
    values = [*info.keys(), *info.values(), *exif.values()]
    texts = (v.encode("utf-8", "replace") if isinstance(v, str) else v for v in values)
    return any(may_have_location(text) for text in texts if isinstance(text, bytes))


def kept_exif(image: Image.Image) -> bytes:
    """Return EXIF data with camera, exposure and time only; empty if there is none of these.

    A list of fields to remove would not be enough, because locations also occur in maker notes,
    thumbnails and free text.
    """
    old, new = image.getexif(), Image.Exif()
    try:
        new.update({tag: old[tag] for tag in _tags(_KEPT_IFD0) if tag in old})
        details = old.get_ifd(ExifTags.IFD.Exif)
        kept = {tag: details[tag] for tag in _tags(_KEPT_EXIF) if tag in details}
        if kept:
            new[ExifTags.IFD.Exif] = kept
        data = new.tobytes() if len(new) else b""
    except Exception:  # Pillow raises almost any exception for damaged EXIF data
        return b""
    return data if len(data) <= _LONGEST_SEGMENT else b""


def _tags(names: tuple[str, ...]) -> list[int]:
    return [int(ExifTags.Base[name]) for name in names]


def jpeg_without_location(data: bytes, exif: bytes) -> bytes | None:
    """Return a JPEG file without its location; the same file if it has none.

    Pillow's quality="keep" decodes and compresses again, which changes pixels by rounding. So the
    segments are copied instead, except those that pixels and colours do not need, and `exif`
    replaces the old EXIF data. What follows the end of the image (the video of a motion photo, a
    second image) may contain the location as well and is removed. Returns None if the structure of
    the file is not valid; it must then be decoded and compressed again.
    """
    segments = list(_segments(data))
    markers = [marker for marker, _, _ in segments]
    if _SOS not in markers or markers[-1] != _EOI or segments[-1][2] > len(data):
        return None
    scan = markers.index(_SOS)
    if any(_is_metadata(marker) for marker in markers[scan:]):
        return None
    head, end = segments[:scan], segments[-1][2]
    others = [data[start:stop] for marker, start, stop in head if not _needed(data, marker, start)]
    if not data[end:].strip(b"\0\r\n ") and not any(map(may_have_location, others)):
        return data
    parts = [data[start:stop] for marker, start, stop in head if _needed(data, marker, start)]
    return b"".join([b"\xff\xd8", *_with_exif(parts, exif), data[segments[scan][1] : end]])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment after the first marker, up to the EOI marker."""
    position = 2
    while match := _MARKER.search(data, position):
        marker = match[1][0]
        if marker == _EOI:
            yield marker, match.start(), match.end()
            return
        position = match.end() + max(2, int.from_bytes(data[match.end() : match.end() + 2], "big"))
        yield marker, match.start(), position


def _is_metadata(marker: int) -> bool:
    return 0xE0 <= marker <= 0xEF or marker == _COMMENT


def _needed(data: bytes, marker: int, start: int) -> bool:
    if not _is_metadata(marker):
        return True
    return marker in _NEEDED and data.startswith(_NEEDED[marker], start + 4)


def _with_exif(parts: list[bytes], exif: bytes) -> list[bytes]:
    """Insert an EXIF segment after the JFIF segment, which must stay the first one."""
    if not exif:
        return parts
    segment = bytes([0xFF, _APP1]) + (len(exif) + 2).to_bytes(2, "big") + exif
    first = 1 if parts and parts[0][1] == 0xE0 else 0
    return [*parts[:first], segment, *parts[first:]]
