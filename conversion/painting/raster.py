"""Shapes to pixels, as pycocotools defines them, within the box of the shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from shapely.geometry.base import BaseGeometry

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import LINES, mask_pixels, outline, widened

Cropped = tuple[NDArray[np.bool_], tuple[int, int]]  # (h, w) pixels of a box, and its x, y
NOTHING: Cropped = (np.zeros((0, 0), bool), (0, 0))


def shape_mask(shape: Shape, *, height: int, width: int, line_width: float) -> Cropped:
    """Pixels of a shape in an (H, W) picture; lines and points are widened to `line_width`."""
    (mask,) = shape_masks([shape], height=height, width=width, line_width=line_width)
    return mask


def shape_masks(
    shapes: Sequence[Shape], *, height: int, width: int, line_width: float
) -> list[Cropped]:
    """Pixels of each shape; those with an outline all at once."""
    outlines: list[NDArray[np.float64]] = []
    masks: list[Cropped | None] = []
    for shape in shapes:
        if shape.shape_type == "mask":
            masks.append(_clipped(*mask_pixels(shape), height=height, width=width))
        elif shape.shape_type in LINES:
            masks.append(_region_mask(widened(shape, line_width), height=height, width=width))
        else:
            outlines.append(outline(shape))
            masks.append(None)
    filled = iter(polygon_masks(outlines, height=height, width=width))
    return [next(filled) if mask is None else mask for mask in masks]


def polygon_masks(
    polygons: Sequence[NDArray[np.float64]], *, height: int, width: int
) -> list[Cropped]:
    """Pixels of polygons, each (N, 2) x, y pixels, in an (H, W) picture.

    The pixels are those of pycocotools' `frPyObjects`: cv2.fillPoly would add a rim of half a
    pixel, which makes small things markedly larger. Its run-length code takes as long as the
    outline; decoding that for the whole picture would take most of the time, so only the box is.
    """
    if not polygons:
        return []
    rles = coco_mask.frPyObjects([one.ravel().tolist() for one in polygons], height, width)
    lengths = run_lengths([rle["counts"] for rle in rles])
    return [decode_runs(one, height=height) for one in lengths]


def run_lengths(codes: Sequence[bytes]) -> list[NDArray[np.int64]]:
    """Lengths of the runs in COCO's compressed codes, of zeros and ones in turns.

    Each length stands in groups of five bits, the lowest first, a sixth saying that more follow;
    from the fourth on, it is the difference from the one before last.
    """
    groups = np.frombuffer(b"".join(codes), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(groups & 32 == 0)
    first = np.append(0, last[:-1] + 1)
    sizes = last - first + 1
    shifts = 5 * (np.arange(len(groups)) - np.repeat(first, sizes))
    lengths = np.add.reduceat((groups & 31) << shifts, first)
    lengths -= (groups[last] >> 4 & 1) << 5 * sizes  # the sign
    ends = np.searchsorted(last, np.cumsum([len(code) for code in codes]) - 1) + 1
    split = np.split(lengths, ends[:-1])
    for one in split:
        one[1::2] = one[1::2].cumsum()
        one[2::2] = one[2::2].cumsum()
    return split


def decode_runs(lengths: NDArray[np.int64], *, height: int) -> Cropped:
    """Pixels of the box around runs that count down the columns of a picture `height` high."""
    edges = lengths.cumsum()
    ends = edges[1::2]
    if not len(ends):
        return NOTHING
    starts, lasts = edges[0::2][: len(ends)], ends - 1
    columns, rows = np.divmod(starts, height)
    last_columns, last_rows = np.divmod(lasts, height)
    left, right = int(columns[0]), int(last_columns[-1]) + 1
    top, bottom = int(rows.min()), int(last_rows.max()) + 1
    if (columns != last_columns).any():  # a run goes on at the top of the next column
        top, bottom = 0, height
    size = bottom - top
    box = np.zeros((right - left) * size + 1, np.uint8)
    box[(columns - left) * size + rows - top] = 1
    box[(last_columns - left) * size + last_rows - top + 1] ^= 1  # runs may touch in the box
    filled = np.bitwise_xor.accumulate(box[:-1]).view(bool)
    return filled.reshape(right - left, size).T, (left, top)


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, object]:
    """(H, W) bool mask as COCO's compressed run-length code, ready for JSON."""
    return encode_cropped((mask, (0, 0)), height=mask.shape[0], width=mask.shape[1])


def encode_cropped(cropped: Cropped, *, height: int, width: int) -> dict[str, object]:
    """Pixels of a box in an (H, W) picture as COCO's compressed run-length code."""
    mask, (x, y) = cropped
    rows, columns = mask.shape
    padded = np.zeros(columns * (rows + 1) + 1, bool)  # so that no run goes on in the next column
    padded[1:].reshape(columns, rows + 1)[:, :-1] = mask.T
    steps = np.flatnonzero(padded[1:] != padded[:-1])  # where a run starts, and behind its end
    column, row = np.divmod(steps, rows + 1)
    edges = (x + column) * height + y + row
    if rows == height:  # there, it does
        again = np.flatnonzero(edges[1:] == edges[:-1])
        edges = np.delete(edges, [again, again + 1])
    ends = np.concatenate([edges, [height * width]])
    lengths = ends - np.concatenate([[0], edges])
    if len(lengths) > 1 and not lengths[-1]:
        lengths = lengths[:-1]
    plain = {"size": [height, width], "counts": lengths.tolist()}
    rle = coco_mask.frPyObjects(plain, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def without(cropped: Cropped, *cuts: Cropped) -> Cropped:
    """The pixels that are in none of the `cuts`."""
    mask, (x, y) = cropped
    kept = mask.copy() if cuts else mask
    for hole, (left, top) in cuts:
        x0, x1 = max(x, left), min(x + mask.shape[1], left + hole.shape[1])
        y0, y1 = max(y, top), min(y + mask.shape[0], top + hole.shape[0])
        if x0 < x1 and y0 < y1:
            cut = hole[y0 - top : y1 - top, x0 - left : x1 - left]
            kept[y0 - y : y1 - y, x0 - x : x1 - x] &= ~cut
    return kept, (x, y)


def united(parts: list[Cropped]) -> Cropped:
    """The pixels of all parts."""
    parts = [part for part in parts if part[0].size]
    if len(parts) < 2:
        return parts[0] if parts else NOTHING
    left, top = (min(corner[axis] for _, corner in parts) for axis in (0, 1))
    right = max(x + mask.shape[1] for mask, (x, _) in parts)
    bottom = max(y + mask.shape[0] for mask, (_, y) in parts)
    whole = np.zeros((bottom - top, right - left), bool)
    for mask, (x, y) in parts:
        whole[y - top : y - top + mask.shape[0], x - left : x - left + mask.shape[1]] |= mask
    return whole, (left, top)


def _clipped(
    mask: NDArray[np.bool_], corner: tuple[int, int], *, height: int, width: int
) -> Cropped:
    """The part of a mask that lies in the picture."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    inside = mask[top : max(0, height - y), left : max(0, width - x)]
    return inside, (max(0, x), max(0, y))


def _region_mask(region: BaseGeometry, *, height: int, width: int) -> Cropped:
    """Pixels of polygons with holes."""
    filled = []
    for polygon in [] if region.is_empty else shapely.get_parts(region):
        rings = [np.array(ring.coords[:-1]) for ring in (polygon.exterior, *polygon.interiors)]
        filled.append(without(*polygon_masks(rings, height=height, width=width)))
    return united(filled)
