"""COCO's run-length codes to pixels, without trust in their sizes."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.photos.files import Size
from base.errors import InputError
from conversion.painting.raster import Cropped

_MOST_DIGITS = 7  # of a compressed run, 5 bits each: more pixels than any photo has
Run = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class Rle(msgspec.Struct):
    """Runs of unset and set pixels in turn, down the columns; `size` is height, width."""

    size: tuple[int, int]
    counts: str | list[Run]


def decode_rle(rle: Rle, size: Size) -> Cropped:
    """Pixels of a run-length code, cropped to their box; one unset pixel where there are none.

    Validation reports that one; Labelme could not open a mask without any. InputError where the
    code is of another size than the image, or broken: nothing is made larger than the image.
    """
    height, width = size
    if rle.size != size:
        got = f"{rle.size[1]}x{rle.size[0]}"
        raise InputError(f"segmentation: expected an RLE of {width}x{height} pixels, got {got}")
    if isinstance(rle.counts, str):
        counts = _decode_counts(rle.counts)
    else:
        counts = np.array(rle.counts, np.int64)
    if (counts < 0).any() or int(counts.sum()) != height * width:
        got = "negative ones" if (counts < 0).any() else f"{int(counts.sum()):,} pixels"
        raise InputError(f"segmentation: expected runs of {height * width:,} pixels, got {got}")
    return _paint_runs(counts, height)


def _decode_counts(text: str) -> NDArray[np.int64]:
    """Lengths of the runs in COCO's compressed code: 5 bits a character, the lowest first.

    From the fourth on they are differences to the last but one.
    """
    digits = np.frombuffer(text.encode(errors="replace"), np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise InputError("segmentation: counts are no compressed RLE")
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > _MOST_DIGITS:
        raise InputError("segmentation: counts have a run longer than any photo")
    shifts = 5 * (np.arange(len(digits)) - np.repeat(starts, lengths))
    counts = np.add.reduceat((digits & 31) << shifts, starts)
    counts -= np.where(digits[ends] & 16, 1 << (5 * lengths), 0)  # two's complement
    for first in (1, 2):
        counts[first::2] = np.cumsum(counts[first::2])
    return counts


def _paint_runs(counts: NDArray[np.int64], height: int) -> Cropped:
    """Runs down the columns, the first one unset, as pixels of the box of those that are set."""
    edges = np.cumsum(counts)
    starts, ends = edges[:-1:2], edges[1::2]
    starts, ends = starts[: len(ends)][ends > starts], ends[ends > starts]
    if not len(starts):
        return np.zeros((1, 1), bool), (0, 0)
    left, right = int(starts[0]) // height, int(ends[-1] - 1) // height
    steps = np.zeros((right - left + 1) * height + 1, np.int8)
    steps[starts - left * height] += 1
    steps[ends - left * height] -= 1
    columns = np.cumsum(steps[:-1], dtype=np.int8).reshape(-1, height).astype(bool)
    rows = np.flatnonzero(columns.any(axis=0))
    top, bottom = int(rows[0]), int(rows[-1])
    return columns[:, top : bottom + 1].T, (left, top)
