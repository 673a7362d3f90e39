"""The memory that decoding a photo takes, and the EXIF rotation of decoded photos."""

from __future__ import annotations

from PIL import Image

# The most bytes per pixel measured in decoding: for WebP, and for a CMYK progressive JPEG
WEBP_BYTES, OTHER_BYTES = 16, 12
MOST_MEMORY = 768 << 20  # photos that need more (above 67 megapixels) are not decoded
MUCH_MEMORY = 288 << 20  # photos that need more (above 25 megapixels) are decoded one at a time

_T = Image.Transpose
_TRANSPOSITIONS = {  # by EXIF orientation
    **{2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE},
    **{6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90},
}


def decoding_memory(image: Image.Image) -> int:
    """Return the number of bytes that decoding an opened photo takes at most."""
    return image.width * image.height * (WEBP_BYTES if image.format == "WEBP" else OTHER_BYTES)


def apply_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """Apply the EXIF orientation, 1 to 8, to a decoded image."""
    return (
        image.transpose(_TRANSPOSITIONS[orientation]) if orientation in _TRANSPOSITIONS else image
    )
