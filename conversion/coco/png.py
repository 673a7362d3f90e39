"""Panoptic PNGs: segment ids as colours, and what the files are called."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from base.errors import InputError
from base.files import write_bytes

SegmentIds = NDArray[np.uint32]
VOID = 0


def rgb_to_ids(rgb: NDArray[np.uint8]) -> SegmentIds:
    """(H, W, 3) uint8 RGB to (H, W) uint32 ids: R + 256 G + 256² B."""
    wide = rgb.astype(np.uint32)
    return np.asarray(wide @ np.array([1, 1 << 8, 1 << 16], np.uint32))


def ids_to_rgb(ids: SegmentIds) -> NDArray[np.uint8]:
    """(H, W) uint32 ids to (H, W, 3) uint8 RGB, the inverse of `rgb_to_ids`."""
    little = np.ascontiguousarray(ids, dtype="<u4")
    rgb = cv2.cvtColor(little.view(np.uint8).reshape(*ids.shape, 4), cv2.COLOR_RGBA2RGB)
    return np.asarray(rgb, dtype=np.uint8)


def read_segment_ids(path: Path) -> SegmentIds:
    """Read a panoptic PNG as (H, W) uint32 segment ids."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise InputError(f"{path}: cannot be read as a PNG")
    return rgb_to_ids(bgr[..., ::-1].astype(np.uint8))


def write_segment_ids(path: Path, ids: SegmentIds) -> None:
    """Write (H, W) uint32 segment ids as a panoptic PNG."""
    write_bytes(path, encode_png(ids))


def encode_png(numbers: NDArray[Any], ids: SegmentIds | None = None) -> bytes:
    """Encode (H, W) segment ids, or numbers of `ids`, (N,) uint32, as a panoptic PNG.

    Most pixels are as the one above them, so the filter Up (2) leaves zeros, and only the others
    are looked at. zlib-ng's second level packs that as small as Pillow's sixth, in a tenth of the
    time.
    """
    height, width = numbers.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = 2
    changed = np.flatnonzero(numbers[1:] != numbers[:-1])
    y, x = np.divmod(changed, width)
    below, above, first = numbers[y + 1, x], numbers[y, x], numbers[0]
    if ids is not None:
        below, above, first = ids[below], ids[above], ids[first]
    flat, places = rows.ravel(), (y + 1) * rows.shape[1] + 3 * x
    for channel, shift in enumerate((0, 8, 16), start=1):
        rows[0, channel::3] = first >> shift & 255
        flat[places + channel] = (below >> shift) - (above >> shift) & 255
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib_ng.compress(rows, 2)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib_ng.crc32(kind + data))
        for kind, data in chunks
    )


def png_names(file_names: Sequence[str]) -> dict[str, str]:
    """PNG name of each photo: its name with the suffix .png; where that clashes, name + .png.

    Upper and lower case clash, too: some file systems take them for the same. A name that another
    PNG has as a folder clashes as well.
    """
    chosen = {name: f"{name.rpartition('.')[0]}.png" for name in sorted(file_names)}
    for name in _clashing(chosen, but_the_first=False):
        chosen[name] = f"{name}.png"
    while clashing := _clashing(chosen, but_the_first=True):  # as with photos called a.jpg.jpg
        for name in clashing:
            chosen[name] = f"{chosen[name].removesuffix('.png')}~.png"
    return chosen


def _clashing(chosen: Mapping[str, str], *, but_the_first: bool) -> list[str]:
    """Photos whose PNG names are not theirs alone; of those with one name all `but_the_first`."""
    folded = {name: png.lower() for name, png in chosen.items()}
    first = {png: name for name, png in reversed(folded.items())} if but_the_first else {}
    taken = Counter(folded.values())
    folders = {png.rpartition("/")[0] for png in taken if "/" in png}
    folders |= {"/".join(f.split("/")[:i]) for f in folders for i in range(1, f.count("/") + 1)}
    return [
        name
        for name, png in folded.items()
        if png in folders or (taken[png] > 1 and first.get(png) != name)
    ]
