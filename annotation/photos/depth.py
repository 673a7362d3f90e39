"""Photos of more than 8 bits per channel: which are read, and how their values become 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.errors import InputError

_BITS_PER_SAMPLE = 258  # tag of TIFF


def bits_per_channel(image: Image.Image) -> int:
    """Return 8 or 16, the number of bits per channel of an opened photo.

    Raises InputError, without the path, for 32-bit and floating-point values: their range has no
    fixed meaning, so that a photo of another camera would look different.
    """
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        kind = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise InputError(
            f"expected 8 or 16 bits per channel, found {kind} values (mode {image.mode});"
            " convert it to an 8-bit PNG or JPEG"
        )
    if image.mode.startswith("I"):
        return 16
    if image.format == "TIFF":
        stored = image.tag_v2.get(_BITS_PER_SAMPLE, 8)  # type: ignore[attr-defined]
        return 16 if max(np.atleast_1d(stored)) > 8 else 8
    # Pillow keeps the high bytes of 16-bit colours and says so only in the name of the decoder
    decoder = str(getattr(image, "tile", ""))
    return 16 if image.format == "PNG" and ";16" in decoder else 8


def scaled_to_8_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Scale an array of 16-bit values so that the lowest becomes 0 and the highest 255.

    Labelme shows grey TIFF files of 16 bits in this way. Without it, 12-bit values would be nearly
    black. The channels of a colour photo are scaled together, which keeps their hues.
    """
    low, high = int(values.min()), int(values.max())
    steps = np.arange(high + 1, dtype=np.float64) - low
    table = np.clip(steps / max(high - low, 1) * 255, 0, 255).astype(np.uint8)
    scaled: NDArray[np.uint8] = table[values]
    return scaled


def eight_bit(image: Image.Image) -> Image.Image:
    """Return a decoded photo with 16-bit grey values scaled to 8 bits, or the photo itself."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray(scaled_to_8_bits(np.asarray(image).astype(np.uint16)))
