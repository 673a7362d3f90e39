"""Slivers: pieces of stuff too small to mean anything, as sources and painting leave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Slivers
from conversion.panoptic import VOID

LocalIds = NDArray[np.uint8] | NDArray[np.uint16]
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True)
class Cleaned:
    """Pixels of stuff that went to other stuff, and to void."""

    moved: int = 0
    voided: int = 0


NOTHING_CLEANED = Cleaned()


@dataclass(frozen=True, order=True)
class _Piece:
    area: int
    segment_id: int
    y: int
    x: int
    height: int
    width: int
    label: int  # in the picture of the segment's components


def clean_slivers(
    ids: LocalIds, rule: Slivers, stuff_ids: Sequence[int]
) -> tuple[LocalIds, Cleaned]:
    """Give away the pieces of stuff below `rule.area` in (H, W) ids; return new ids.

    A piece is what hangs together over the sides of its pixels. It goes to the stuff with which it
    has the longest border (the lower id where two are equal), or to void where it touches none:
    things keep the pixels that were drawn. The smallest go first; what one of them changed is
    looked at again.
    """
    if rule.area < 2:
        return ids, NOTHING_CLEANED
    ids, moved, voided = ids.copy(), 0, 0
    while pieces := sorted(_small_pieces(ids, rule.area, stuff_ids), key=lambda one: one[0]):
        fresh = np.zeros(ids.shape, bool)
        for piece, pixels in pieces:
            top, left = max(0, piece.y - 1), max(0, piece.x - 1)
            around = np.s_[top : piece.y + piece.height + 1, left : piece.x + piece.width + 1]
            mask = np.zeros(ids[around].shape, np.uint8)
            y, x = piece.y - top, piece.x - left
            mask[y : y + piece.height, x : x + piece.width] = pixels
            if fresh[around][cv2.dilate(mask, _CROSS) > 0].any():
                continue
            target = VOID if rule.to == "void" else _neighbour(ids[around], mask, stuff_ids)
            ids[around][mask > 0] = target
            fresh[around][mask > 0] = True
            moved, voided = (
                moved + piece.area * (target != VOID),
                voided + piece.area * (not target),
            )
    return ids, Cleaned(moved, voided)


def _small_pieces(
    ids: LocalIds, below: int, stuff_ids: Sequence[int]
) -> Iterator[tuple[_Piece, NDArray[np.bool_]]]:
    """Pieces of stuff with less than `below` pixels, and their (h, w) pixels."""
    for segment_id in stuff_ids:
        whole = (ids == segment_id).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(whole, connectivity=4)
        for label in range(1, count):
            x, y, width, height, area = stats[label].tolist()
            if area < below:
                pixels = labels[y : y + height, x : x + width] == label
                yield _Piece(area, segment_id, y, x, height, width, label), pixels


def _neighbour(ids: LocalIds, mask: NDArray[np.uint8], stuff_ids: Sequence[int]) -> int:
    """The stuff on most sides of the masked pixels; void where there is none."""
    inside = np.pad(mask > 0, 1)
    beside = np.pad(ids, 1)
    sides = [
        beside[moved & ~inside]
        for axis in (0, 1)
        for step in (-1, 1)
        for moved in [np.roll(inside, step, axis)]
    ]
    borders = np.bincount(np.concatenate(sides), minlength=max(stuff_ids) + 1)
    of_stuff = borders[list(stuff_ids)]
    return int(stuff_ids[int(of_stuff.argmax())]) if of_stuff.any() else VOID
