"""Preparing one photo for a data set: EXIF rotation applied, location removed, size limited."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from annotation.intake.metadata import image_has_location, jpeg_without_location, kept_exif
from annotation.photos.depth import eight_bit
from annotation.photos.files import SUFFIXES, open_photo
from annotation.photos.likeness import perceptual_hash
from base.errors import InputError

Frame = NDArray[np.uint8]  # (H, W, 3) BGR

QUALITY = 95  # of JPEG and WebP photos that are compressed again

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"quality": QUALITY},
}


class RefusedError(Exception):
    """A photo that cannot be added; the message says why."""


@dataclass(frozen=True)
class CleanPhoto:
    """The file to store, the suffixes of its format (the usual one first) and its 64-bit hash."""

    data: bytes
    suffixes: tuple[str, ...]
    likeness: int


def clean_photo(data: bytes, *, long_side: int | None = None) -> CleanPhoto:
    """Apply the EXIF rotation of a photo, remove its location, limit its longer side in pixels.

    The file is unchanged if nothing needs to be done. If only the location of a JPEG has to be
    removed, its compressed pixels are copied. Raises RefusedError if the photo cannot be decoded.
    """
    with _opened(data) as image:
        kind = str(image.format)
        rotated = image.getexif().get(ExifTags.Base.Orientation) in range(2, 9)
        changed = rotated or (long_side is not None and max(image.size) > long_side)
        jpeg = kind in ("JPEG", "MPO")
        stored = None
        if jpeg and not changed:
            stored = jpeg_without_location(data, kept_exif(image))
            if image.mode == "RGB":  # enough for the hash, in a third of the time
                image.draft("L", (256, 256))
        image.load()
        if not jpeg and not changed and not image_has_location(image):
            stored = data
        if stored is not None:
            return CleanPhoto(stored, SUFFIXES[kind], _likeness(image))
        upright = _limited(ImageOps.exif_transpose(image), long_side)
        saved = _encoded(upright, "JPEG" if jpeg else kind, kept_exif(image))
        return CleanPhoto(saved, SUFFIXES[kind], _likeness(upright))


def clean_frame(frame: Frame, *, long_side: int | None = None) -> CleanPhoto:
    """Encode a video frame as a JPEG, with its longer side limited to `long_side` pixels."""
    height, width = frame.shape[:2]
    if long_side is not None and max(height, width) > long_side:
        scale = long_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return CleanPhoto(encoded.tobytes(), SUFFIXES["JPEG"], perceptual_hash(frame))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a photo; every error in the block becomes a RefusedError with its reason."""
    try:
        # Pillow warns about unusual metadata, which is not used here.
        with warnings.catch_warnings(action="ignore"), open_photo(BytesIO(data)) as image:
            yield image
    except RefusedError:
        raise
    except InputError as error:
        raise RefusedError(str(error)) from None
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        raise RefusedError(f"cannot be decoded: {error}") from None


def _likeness(image: Image.Image) -> int:
    return perceptual_hash(np.asarray(eight_bit(image).convert("L")))


def _limited(image: Image.Image, long_side: int | None) -> Image.Image:
    if long_side is None or max(image.size) <= long_side:
        return image
    small = eight_bit(image)
    if small.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):  # palettes cannot be interpolated
        small = small.convert("RGBA" if "transparency" in small.info else "RGB")
    scale = long_side / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return small.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encoded(image: Image.Image, kind: str, exif: bytes) -> bytes:
    """Encode an image in its own format; only its colour profile and `exif` are kept."""
    plain = image.copy()  # saving would write comments and XMP from the old `info`
    plain.info = {k: v for k, v in image.info.items() if k in ("icc_profile", "transparency")}
    options = dict(_SAVE_OPTIONS.get(kind, {}), icc_profile=plain.info.get("icc_profile"))
    if exif and kind in ("JPEG", "PNG", "WEBP"):
        options["exif"] = exif
    out = BytesIO()
    plain.save(out, kind, **options)
    return out.getvalue()
