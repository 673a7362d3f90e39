"""COCO's run-length encoding (RLE): encoding and decoding masks.

An RLE counts unset and set pixels in turn, down the columns. pycocotools compresses these counts:
https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from annotation.photos.files import Size
from base.counting import counted
from base.errors import InputError
from conversion.coco.cropped_mask import NO_PIXELS, CroppedMask

_MOST_DIGITS = 7  # of a compressed count, 5 bits each: more pixels than any photo has
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Counts = NDArray[np.int64]


class Rle(msgspec.Struct):
    """Counts of unset and set pixels in turn, down the columns; `size` is height, width."""

    size: tuple[int, int]
    counts: str | list[Count]


# --- encoding ---


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, object]:
    """Encode a whole (H, W) bool mask as compressed RLE, ready for JSON."""
    return encode_cropped(CroppedMask(mask), height=mask.shape[0], width=mask.shape[1])


def encode_cropped(mask: CroppedMask, *, height: int, width: int) -> dict[str, object]:
    """Encode a mask in an (H, W) picture as compressed RLE, ready for JSON."""
    rows, columns = mask.pixels.shape
    # An additional unset row, so that no run continues in the next column
    padded = np.zeros(columns * (rows + 1) + 1, bool)
    padded[1:].reshape(columns, rows + 1)[:, :-1] = mask.pixels.T
    steps = np.flatnonzero(padded[1:] != padded[:-1])  # first pixel of each run and after it
    column, row = np.divmod(steps, rows + 1)
    edges = (mask.x + column) * height + mask.y + row
    if rows == height:  # runs do continue in the next column: join them
        again = np.flatnonzero(edges[1:] == edges[:-1])
        edges = np.delete(edges, [again, again + 1])
    ends = np.concatenate([edges, [height * width]])
    lengths = ends - np.concatenate([[0], edges])
    if len(lengths) > 1 and not lengths[-1]:
        lengths = lengths[:-1]
    plain = {"size": [height, width], "counts": lengths.tolist()}
    rle = coco_mask.frPyObjects(plain, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


# --- decoding ---


def decode_rle(rle: Rle, size: Size) -> CroppedMask:
    """Decode the RLE of a file for an image of `size` (height, width).

    An RLE without set pixels gives one unset pixel, because Labelme cannot open a mask without
    pixels; validation reports it. Raises InputError if the size of the RLE is not that of the image
    or the RLE is damaged, before any array larger than the image is created.
    """
    height, width = size
    if rle.size != size:
        found = f"{rle.size[1]}x{rle.size[0]}"
        raise InputError(f"segmentation: expected an RLE of {width}x{height} pixels, found {found}")
    if isinstance(rle.counts, str):
        counts = _decompress_untrusted(rle.counts)
    else:
        counts = np.array(rle.counts, np.int64)
    if (counts < 0).any() or int(counts.sum()) != height * width:
        found = "a negative run" if (counts < 0).any() else counted(int(counts.sum()), "pixel")
        expected = counted(height * width, "pixel")
        raise InputError(f"segmentation: expected runs of {expected}, found {found}")
    mask = decode_counts(_without_empty_runs(counts), height=height)
    return mask if mask.pixels.size else CroppedMask(np.zeros((1, 1), bool))


def _decompress_untrusted(text: str) -> Counts:
    """Decompress the counts of a file; raises InputError if they are damaged."""
    code = text.encode(errors="replace")
    digits = np.frombuffer(code, np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise InputError("segmentation: expected the counts of a compressed RLE, found other text")
    ends = np.flatnonzero(digits & 32 == 0)
    if np.diff(ends, prepend=-1).max() > _MOST_DIGITS:
        raise InputError("segmentation: the counts have a run longer than any photo")
    return decompress_counts([code])[0]


def decompress_counts(codes: Sequence[bytes]) -> list[Counts]:
    """Decompress the counts of valid codes, all at once.

    Each count consists of digits of five bits, the lowest first; a sixth bit says that more digits
    follow. From the fourth count on, the difference from the count two before it is stored.
    """
    digits = np.frombuffer(b"".join(codes), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits & 32 == 0)
    first = np.append(0, last[:-1] + 1)
    sizes = last - first + 1
    shifts = 5 * (np.arange(len(digits)) - np.repeat(first, sizes))
    counts = np.add.reduceat((digits & 31) << shifts, first)
    counts -= (digits[last] >> 4 & 1) << 5 * sizes  # the sign, as in two's complement
    ends = np.searchsorted(last, np.cumsum([len(code) for code in codes]) - 1) + 1
    split = np.split(counts, ends[:-1])
    for one in split:
        one[1::2] = one[1::2].cumsum()
        one[2::2] = one[2::2].cumsum()
    return split


def _without_empty_runs(counts: Counts) -> Counts:
    """Return counts of the same pixels without empty runs, except for the first run."""
    if (counts[1:] > 0).all():
        return counts
    edges = np.cumsum(counts)
    edges = edges[: len(edges) // 2 * 2].reshape(-1, 2)  # start and end of each run of set pixels
    edges = edges[edges[:, 0] < edges[:, 1]].ravel()
    return np.diff(edges, prepend=0)


def decode_counts(counts: Counts, *, height: int) -> CroppedMask:
    """Return the mask of `counts` in a picture of the given height; its box is tight.

    Every run of set pixels must have at least one pixel.
    """
    edges = counts.cumsum()
    ends = edges[1::2]
    if not len(ends):
        return NO_PIXELS
    starts, lasts = edges[0::2][: len(ends)], ends - 1
    columns, rows = np.divmod(starts, height)
    last_columns, last_rows = np.divmod(lasts, height)
    left, right = int(columns[0]), int(last_columns[-1]) + 1
    top, bottom = int(rows.min()), int(last_rows.max()) + 1
    if (columns != last_columns).any():  # a run continues at the top of the next column
        top, bottom = 0, height
    size = bottom - top
    box = np.zeros((right - left) * size + 1, np.uint8)
    box[(columns - left) * size + rows - top] = 1
    box[(last_columns - left) * size + last_rows - top + 1] ^= 1  # in the box, runs may touch
    filled = np.bitwise_xor.accumulate(box[:-1]).view(bool)
    return CroppedMask(filled.reshape(right - left, size).T, left, top)
