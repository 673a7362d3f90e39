"""Opening photo files: headers, EXIF orientation and pixels."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from annotation.photos.depth import bits_per_channel, scaled_to_8_bits
from base.errors import InputError
from base.files import check_regular, read_regular

Size = tuple[int, int]  # height, width in pixels

MAX_PIXELS = 178_956_970  # Pillow's limit, and so Labelme's: larger photos cannot be annotated
MAX_BYTES = 1 << 29  # a file of that size holds MAX_PIXELS uncompressed RGB pixels
SUFFIXES = {  # by the name that Pillow gives the format; the usual suffix comes first
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # several JPEG images in one file; the first one is the photo
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
# Pillow opens MPO files as JPEG. No other formats are tried, because some start other programs.
FORMATS = tuple(name for name in SUFFIXES if name != "MPO")
_SWAPPING_ORIENTATIONS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_TAIL = 1 << 16  # bytes at the end of a PNG that may hold EXIF data, where exiftool writes them


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a photo says: its `size` after its EXIF rotation.

    `orientation` is the EXIF orientation, 1 to 8, and `bits` the number of bits per channel.
    """

    size: Size
    orientation: int = 1
    bits: int = 8
    tiff: bool = False

    @property
    def swaps_sides(self) -> bool:
        """Whether the rotation swaps height and width."""
        return self.orientation in _SWAPPING_ORIENTATIONS

    @property
    def labelme_ignores_rotation(self) -> bool:
        """Whether Labelme shows the photo unrotated, as it does with deep TIFF files."""
        return self.tiff and self.bits > 8 and self.orientation != 1


@contextmanager
def without_pixel_limit() -> Iterator[None]:
    """Suspend Pillow's own limit on the number of pixels; the caller checks the size.

    Pillow warns at half of MAX_PIXELS, and its error does not name the size of the image.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def check_size(width: int, height: int, *, where: str = "") -> None:
    """Raise InputError if a photo has more than MAX_PIXELS pixels; called before decoding.

    The message begins with `where`, if it is given.
    """
    if width * height > MAX_PIXELS:
        found = f"expected at most {MAX_PIXELS:,} pixels, found {width}x{height}"
        raise InputError(f"{where}: {found}" if where else found)


def open_photo(source: Path | BytesIO) -> Image.Image:
    """Open a photo without decoding its pixels.

    Raises InputError, without the path, if the file cannot be read, is not a photo, is too large,
    or has values of more than 16 bits.
    """
    try:
        if isinstance(source, Path):
            check_regular(source, most_bytes=MAX_BYTES)
        with without_pixel_limit():
            image = Image.open(source, formats=FORMATS)
    except OSError as error:
        broken = isinstance(error, UnidentifiedImageError) or not error.strerror
        names = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        reason = f"not a {names} image" if broken else str(error.strerror)
        raise InputError(f"cannot be read as a photo: {reason}") from None
    except InputError:
        raise
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        raise InputError(f"cannot be read as a photo: {error}") from None
    try:
        check_size(*image.size)
        bits_per_channel(image)
    except InputError:
        image.close()
        raise
    return image


def open_embedded(image_data: str) -> Image.Image:
    """Open the image in `imageData`, which Labelme shows as stored, without EXIF rotation.

    Raises InputError as `open_photo` does.
    """
    try:
        data = base64.b64decode(image_data)
    except ValueError:
        raise InputError("cannot be read as a photo: not valid base64") from None
    return open_photo(BytesIO(data))


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read the pixels of a photo as (H, W, 3) uint8 BGR, rotated according to its EXIF data.

    Values of 16 bits are scaled as `scaled_to_8_bits` does. Raises InputError if the file cannot be
    read, is not a photo, is too large or is incomplete.
    """
    return decode_photo(read_photo_bytes(path), where=path)


def read_photo_bytes(path: Path) -> bytes:
    """Read a photo file without decoding it. Raises InputError if it cannot be read."""
    try:
        return read_regular(path, most_bytes=MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a photo: {error.strerror}") from None


def decode_photo(data: bytes, *, where: Path) -> NDArray[np.uint8]:
    """Decode a photo as `read_photo` does; `where` is its file, for error messages.

    Raises InputError if it is not a photo, is too large or is incomplete.
    """
    try:
        with open_photo(BytesIO(data)) as image:
            pixels = _decode(data, bits_per_channel(image))
            if image.format in ("JPEG", "MPO"):
                _check_complete(data, image)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return pixels


def _decode(data: bytes, bits: int) -> NDArray[np.uint8]:
    depth = cv2.IMREAD_ANYDEPTH if bits > 8 else 0
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | depth)
    except cv2.error as error:
        raise InputError(f"cannot be read as a photo: {error}") from None
    if pixels is None:
        raise InputError("cannot be read as a photo: its pixels cannot be decoded")
    return scaled_to_8_bits(pixels.astype(np.uint16)) if bits > 8 else np.asarray(pixels, np.uint8)


def _check_complete(data: bytes, image: Image.Image) -> None:
    """Raise InputError if a JPEG is truncated: OpenCV fills in missing pixels without an error."""
    if data.endswith(b"\xff\xd9"):  # the marker for the end of the image
        return
    try:  # a complete image may be followed by other data
        image.draft("L", (1, 1))  # decodes at an eighth of the size, in a third of the time
        image.load()
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        message = f"can be decoded only in part: {error}; replace it with a complete copy"
        raise InputError(message) from None


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened photo, 1 to 8; 1 if it is missing or invalid.

    Like Labelme and OpenCV, and unlike Pillow, this ignores XMP metadata.
    """
    value: Any = 1
    try:
        if image.format == "PNG" and "exif" not in image.info and _has_late_exif(image):
            image.load()  # Pillow finds EXIF data after the pixels only when it decodes them
        if image.format == "TIFF":
            value = image.getexif().get(ExifTags.Base.Orientation)
        elif data := image.info.get("exif"):
            exif = Image.Exif()
            exif.load(data)
            value = exif.get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises almost any exception for damaged EXIF data
        return 1
    return int(value) if value in range(1, 9) else 1


def _has_late_exif(image: Image.Image) -> bool:
    file = image.fp  # type: ignore[attr-defined]
    position = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    found = b"eXIf" in file.read()
    file.seek(position)
    return bool(found)


def read_header(path: Path) -> Header:
    """Read the size and orientation of a photo without decoding its pixels.

    Raises InputError if the file cannot be read, is not a photo, or is too large.
    """
    try:
        with open_photo(path) as image:
            return header_of_image(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def header_of_image(image: Image.Image) -> Header:
    """Return what the header of an opened photo says."""
    orientation, (width, height) = read_orientation(image), image.size
    tiff = image.format == "TIFF"
    # Pillow reports the size of a TIFF after rotation, and the stored size of other formats
    swapped = orientation in _SWAPPING_ORIENTATIONS and not tiff
    size = (width, height) if swapped else (height, width)
    return Header(size, orientation, bits_per_channel(image), tiff)


def photo_size(path: Path) -> Size:
    """Return the height and width of a photo in pixels, after its EXIF rotation.

    Reads only the header. Raises InputError as `read_header` does.
    """
    return read_header(path).size
