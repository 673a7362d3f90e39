"""The base64 PNGs of mask shapes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.photos.files import Size, without_pixel_limit
from base.counting import counted
from base.errors import InputError

MOST_MASK_PIXELS = 25_000_000  # of a mask whose picture is not known
_WITH_ALPHA = ("LA", "RGBA")  # Pillow's modes


@contextmanager
def _opened(mask: str) -> Iterator[Image.Image]:
    """Open a mask; every error in the block becomes an InputError.

    Characters that are not base64, such as line breaks, are skipped, as Labelme does.
    """
    try:
        data = base64.b64decode(mask)
        with without_pixel_limit(), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            yield image
    except (ValueError, OSError, SyntaxError):
        raise InputError("mask: is not a base64 PNG") from None


def mask_size(mask: str) -> Size:
    """Return the height and width of a mask without decoding its pixels.

    Raises InputError if it is not a base64 PNG.
    """
    with _opened(mask) as image:
        return image.height, image.width


def _check_size(size: Size, picture: Size | None) -> None:
    """Raise InputError for a mask that is too large for its picture, before it is decoded.

    A mask may be somewhat larger, because conversion clips it. A PNG of any size can be small.
    """
    height, width = size
    found = f"found {width}x{height}"
    if picture is None:
        if height * width > MOST_MASK_PIXELS:
            raise InputError(f"mask: expected at most {MOST_MASK_PIXELS:,} pixels, {found}")
    elif height > 2 * picture[0] + 1 or width > 2 * picture[1] + 1:
        expected = f"at most twice the sides of its photo, {picture[1]}x{picture[0]} pixels"
        raise InputError(f"mask: expected {expected}, {found}")


def decode_mask_png(mask: str, picture: Size | None = None) -> NDArray[np.bool_]:
    """Decode a mask to (h, w) bool; `picture` is the height and width of its photo, if known.

    Pixels are set where the values are not 0; those of palette images are the indices, as in
    Labelme. An alpha channel that is opaque everywhere or equal to the mask of the colours is
    ignored. If the colours are set everywhere or nowhere, the alpha channel is the mask.

    Raises InputError if the mask is not a base64 PNG or too large, or if its colours and its alpha
    channel contradict each other.
    """
    with _opened(mask) as image:
        _check_size((image.height, image.width), picture)
        pixels = np.asarray(image)
        with_alpha = image.mode in _WITH_ALPHA
    if pixels.ndim == 2:
        return pixels.astype(bool)
    if not with_alpha:
        return np.asarray(pixels.any(axis=2))
    colours, opaque = pixels[..., :-1].any(axis=2), pixels[..., -1] > 0
    if opaque.all() or np.array_equal(colours, opaque):
        return np.asarray(colours)
    if colours.all() or not colours.any():
        return np.asarray(opaque)
    raise InputError(
        "mask: expected one channel, found an alpha channel with"
        f" {counted(int(np.count_nonzero(opaque)), 'pixel')} beside colours with"
        f" {np.count_nonzero(colours):,}; save it as a grey PNG"
    )


def one_channel(mask: str) -> str:
    """Return a mask in a form that Labelme can show: one with several channels becomes grey.

    Raises InputError as `decode_mask_png` does.
    """
    with _opened(mask) as image:
        if len(image.getbands()) == 1:
            return mask
    return encode_mask_png(decode_mask_png(mask))


def encode_mask_png(mask: NDArray[np.bool_]) -> str:
    """Encode a mask, (h, w) bool, as Labelme stores it: a base64 PNG."""
    _, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    return base64.b64encode(png.tobytes()).decode("ascii")
