"""How much memory decoding a photo takes, and turning decoded photos upright."""

from __future__ import annotations

from PIL import Image

# Bytes per pixel that decoding was measured to take at most: WebP; CMYK in a progressive JPEG
WEBP_BYTES, OTHER_BYTES = 16, 12
MOST_MEMORY = 768 << 20  # photos that need more are not decoded: 67 megapixels
MUCH_MEMORY = 288 << 20  # photos that need more are decoded one at a time: 25 megapixels

_T = Image.Transpose
_TURNS = {  # EXIF orientation: how to turn the stored image upright
    **{2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE},
    **{6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90},
}


def decoding_memory(image: Image.Image) -> int:
    """Return the number of bytes that decoding an opened photo takes at most."""
    return image.width * image.height * (WEBP_BYTES if image.format == "WEBP" else OTHER_BYTES)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image upright that is stored with this EXIF orientation, 1 to 8."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
