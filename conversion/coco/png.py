"""Panoptic PNGs: segment ids as colours, and the names of the files."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from kornia_rs.io import decode_image_png_u8, decode_image_png_u16
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from annotation.photos.files import MAX_BYTES, Size, check_size
from base.errors import InputError
from base.files import open_regular, write_bytes

SegmentIds = NDArray[np.uint32]
VOID = 0
SIGNATURE = b"\x89PNG\r\n\x1a\n"  # the first bytes of every PNG
HEADER_BYTES = 26  # up to the colour type
_UP = 2  # the filter of a row that stores differences from the row above
_COLOR_TYPES = {
    0: "greyscale",
    2: "RGB",
    3: "palette colours",
    4: "greyscale with alpha",
    6: "RGBA",
}


def join_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Convert (H, W, 3 or 4) uint8 to (H, W) uint32; the last colour has the highest bits.

    A fourth channel is ignored. RGB gives the ids of panoptic PNGs, and BGR gives 0xRRGGBB.
    """
    if pixels.shape[2] == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
    return np.asarray(pixels.view("<u4")[..., 0] & np.uint32(0xFFFFFF), np.uint32)


def read_segment_ids(path: Path, size: Size) -> SegmentIds:
    """Read a panoptic PNG as (H, W) uint32 segment ids.

    RGB PNGs, with or without alpha, store ids as colours; 16-bit greyscale PNGs store them as
    values. `size` is the (height, width) of the photo. Raises InputError if the file is not a
    readable PNG of this size, or larger than any photo, before it is decoded: a small file may have
    many pixels. In all other kinds of PNG, a pixel could mean two ids, so they are refused.
    """
    data = _read(path)
    header = _header(path, data)
    if header.size != size:
        found = header.size
        expected = f"{size[1]}x{size[0]} pixels, the size of its photo"
        raise InputError(f"{path}: expected {expected}, found {found[1]}x{found[0]}")
    check_size(size[1], size[0], where=str(path))
    decode, mode = _DECODERS.get(header.kind, (None, ""))
    if decode is None:
        expected = "an 8-bit RGB PNG, whose colours are segment ids, or 16-bit greyscale ids"
        raise InputError(f"{path}: expected {expected}, found a PNG in {header.kind}")
    try:
        pixels = decode(data, size, mode)
    except Exception:  # kornia-rs has no narrower class
        raise InputError(f"{path}: cannot be read as a PNG") from None
    return pixels[..., 0].astype(np.uint32) if mode == "mono" else join_channels(pixels)


# kornia-rs decodes the long repetitions of such files in a third of the time of OpenCV, or less
_DECODERS = {
    "8-bit RGB": (decode_image_png_u8, "rgb"),
    "8-bit RGBA": (decode_image_png_u8, "rgba"),
    "16-bit greyscale": (decode_image_png_u16, "mono"),
}


@dataclass(frozen=True)
class PngHeader:
    """The header of a PNG; `size` is (height, width), and `depth` counts bits per channel."""

    size: Size
    depth: int
    color_type: int

    @property
    def kind(self) -> str:
        """The kind of pixels in words, such as `8-bit RGB` or `4-bit palette colours`."""
        return f"{self.depth}-bit {_COLOR_TYPES.get(self.color_type, 'unknown colours')}"


def read_png_header(path: Path) -> PngHeader:
    """Read the header of a PNG; raises InputError if the file cannot be read or is no PNG."""
    return _header(path, _read(path, HEADER_BYTES))


def _read(path: Path, count: int = -1) -> bytes:
    """Read the first bytes of a file, or all; raises InputError if it cannot be read."""
    try:
        with open_regular(path, most_bytes=MAX_BYTES) as file:
            return file.read(count)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _header(path: Path, data: bytes) -> PngHeader:
    header = parse_png_header(data)
    if header is None:
        raise InputError(f"{path}: cannot be read as a PNG")
    return header


def parse_png_header(data: bytes) -> PngHeader | None:
    """Return the header that the first bytes of a PNG contain; None if they are not a PNG's."""
    if len(data) < HEADER_BYTES or not data.startswith(SIGNATURE):
        return None
    width, height, depth, color_type = struct.unpack(">IIBB", data[16:HEADER_BYTES])
    return PngHeader((height, width), depth, color_type)


def write_segment_ids(path: Path, ids: SegmentIds) -> None:
    """Write (H, W) uint32 segment ids as a panoptic PNG."""
    write_bytes(path, encode_png(ids))


def encode_png(numbers: NDArray[Any], ids: SegmentIds | None = None) -> bytes:
    """Encode (H, W) segment ids, or indices into `ids`, (N,) uint32, as a panoptic PNG.

    Most pixels equal the one above them. The filter Up turns these into zeros, so only the
    other pixels need work. zlib-ng at level 2 compresses the result as well as Pillow does at
    level 6, in a tenth of the time.
    """
    height, width = numbers.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _UP
    changed = np.flatnonzero(numbers[1:] != numbers[:-1])
    y, x = np.divmod(changed, width)
    below, above, first = numbers[y + 1, x], numbers[y, x], numbers[0]
    if ids is not None:
        below, above, first = ids[below], ids[above], ids[first]
    flat, places = rows.ravel(), (y + 1) * rows.shape[1] + 3 * x
    for channel, shift in enumerate((0, 8, 16), start=1):
        rows[0, channel::3] = first >> shift & 255
        flat[places + channel] = (below >> shift) - (above >> shift) & 255
    return _head(numbers.shape) + _chunk(b"IDAT", zlib_ng.compress(rows, 2)) + _END


def _head(size: Size) -> bytes:
    header = struct.pack(">IIBBBBB", size[1], size[0], 8, 2, 0, 0, 0)  # 8 bits, RGB
    return SIGNATURE + _chunk(b"IHDR", header)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib_ng.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


_END = _chunk(b"IEND", b"")


def png_names(file_names: Sequence[str]) -> dict[str, str]:
    """Return the PNG name of each photo: its name with the suffix .png, or name + .png on a clash.

    Names that differ only in case clash, since some file systems do not distinguish them. A name
    also clashes with a folder of the same name.
    """
    chosen = {name: f"{name.rpartition('.')[0]}.png" for name in sorted(file_names)}
    for name in _clashing(chosen, keep_first=False):
        chosen[name] = f"{name}.png"
    while clashing := _clashing(chosen, keep_first=True):  # such as for a.jpg.jpg
        for name in clashing:
            chosen[name] = f"{chosen[name].removesuffix('.png')}~.png"
    return chosen


def _clashing(chosen: Mapping[str, str], *, keep_first: bool) -> list[str]:
    """Return the photos whose PNG names clash; `keep_first` omits the first photo of each name."""
    folded = {name: png.lower() for name, png in chosen.items()}
    first = {png: name for name, png in reversed(folded.items())} if keep_first else {}
    taken = Counter(folded.values())
    folders = {png.rpartition("/")[0] for png in taken if "/" in png}
    folders |= {"/".join(f.split("/")[:i]) for f in folders for i in range(1, f.count("/") + 1)}
    return [
        name
        for name, png in folded.items()
        if png in folders or (taken[png] > 1 and first.get(png) != name)
    ]
