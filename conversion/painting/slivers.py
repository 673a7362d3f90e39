"""Slivers: very small pieces of stuff, which sources contain and painting leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.png import VOID
from conversion.config import Slivers

LocalIds = NDArray[np.uint8] | NDArray[np.uint16]
Indices = NDArray[np.intp]
_BESIDE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)


@dataclass(frozen=True)
class Cleaned:
    """The numbers of stuff pixels that became other stuff, and that became void."""

    moved: int = 0
    voided: int = 0


NOTHING_CLEANED = Cleaned()


@dataclass(frozen=True)
class _Piece:
    """A piece of stuff: its number of pixels, and the (h, w) pixels of its box at y, x."""

    area: int
    y: int
    x: int
    mask: NDArray[np.bool_]

    def box(self, margin: int = 0) -> tuple[slice, slice]:
        """Return rows and columns of the box, extended by a margin inside the picture."""
        height, width = self.mask.shape
        return (
            slice(max(0, self.y - margin), self.y + height + margin),
            slice(max(0, self.x - margin), self.x + width + margin),
        )


def clean_slivers(
    ids: LocalIds, rule: Slivers, stuff_ids: Sequence[int]
) -> tuple[LocalIds, Cleaned]:
    """Reassign the pieces of stuff of fewer than `rule.area` pixels in (H, W) ids; return new ids.

    A piece is a 4-connected component. It becomes part of the stuff with which it has the longest
    border (if several are equal, the one with the lowest id), or void if it touches no stuff:
    things keep the pixels that were drawn. The smallest pieces are reassigned first. Pieces beside
    pixels that have changed are examined again.
    """
    if rule.area < 2:
        return ids, NOTHING_CLEANED
    before, ids, again = ids, ids.copy(), True
    while again:
        again, fresh, small = False, np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
        pieces = sorted(_small_pieces(ids, rule.area, stuff_ids), key=lambda one: one.area)
        for piece in pieces:
            small[piece.box()][piece.mask] = True
        for piece in pieces:
            around = piece.box(margin=1)
            mask = np.zeros(ids[around].shape, np.uint8)
            y, x = min(1, piece.y), min(1, piece.x)
            mask[y : y + piece.mask.shape[0], x : x + piece.mask.shape[1]] = piece.mask
            sides = cv2.filter2D(mask, -1, _BESIDE, borderType=cv2.BORDER_CONSTANT)
            sides[mask > 0] = 0  # number of sides that each surrounding pixel shares with it
            ring = sides > 0
            if fresh[around][ring].any():
                again = True  # the piece may have grown
                continue
            target = VOID if rule.to == "void" else _neighbour(ids[around], sides, stuff_ids)
            again |= bool(small[around][ring & (ids[around] == target)].any())
            ids[around][mask > 0] = target
            fresh[around][mask > 0] = True
    changed = ids != before
    voided = int(np.count_nonzero(changed & (ids == VOID)))
    return ids, Cleaned(int(np.count_nonzero(changed)) - voided, voided)


def _small_pieces(ids: LocalIds, below: int, stuff_ids: Sequence[int]) -> Iterator[_Piece]:
    """Yield the pieces of stuff of fewer than `below` pixels.

    A row of a small piece has few pixels, so only short runs of equal pixels are examined, about a
    hundredth of the picture. Most of them touch a long run above or below and need no more work.
    cv2.connectedComponentsWithStats, called for each stuff category, takes twice as long, and it
    orders pieces of equal size differently, which changes the result.
    """
    flat = ids.ravel()
    short = _short_runs(ids, below, stuff_ids)
    pixels, run = short.pixels()
    is_long = np.ones(ids.size, bool)
    is_long[pixels] = False
    touches = np.zeros(len(pixels), bool)
    for step in (-ids.shape[1], ids.shape[1]):
        beside = np.clip(pixels + step, 0, ids.size - 1)
        touches |= (flat[beside] == flat[pixels]) & is_long[beside] & (beside == pixels + step)
    attached = np.bincount(run, touches, len(short.starts)) > 0
    loose = ~attached[run]
    if loose.any():
        links = _links(flat, pixels[loose], run[loose], short.starts, ids.shape[1], is_long)
        for _ in range(below):  # runs that touch runs that touch a long run, and so on
            touching = np.bincount(links[0], attached[links[1]], len(attached)) > 0
            if not (touching & ~attached).any():
                break
            attached |= touching
        left = ~attached[links[0]]
        yield from _joined(ids.shape[1], below, short, (links[0][left], links[1][left]), attached)


@dataclass(frozen=True)
class _Runs:
    """Runs of equal pixels in rows: (N,) positions in the flat picture, and lengths."""

    starts: Indices
    lengths: Indices

    def pixels(self) -> tuple[Indices, Indices]:
        """Return position and run of each pixel."""
        run = np.repeat(np.arange(len(self.starts)), self.lengths)
        before = self.lengths.cumsum() - self.lengths
        return np.arange(len(run)) + (self.starts - before)[run], run


def _short_runs(ids: LocalIds, below: int, stuff_ids: Sequence[int]) -> _Runs:
    """Return the runs of stuff of fewer than `below` pixels."""
    begins = np.ones(ids.shape, bool)
    np.not_equal(ids[:, 1:], ids[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=ids.size)
    chosen = (lengths < below) & np.isin(ids.ravel()[starts], list(stuff_ids))
    return _Runs(starts[chosen], lengths[chosen])


def _links(
    flat: NDArray[Any],
    pixels: Indices,
    run: Indices,
    starts: Indices,
    width: int,
    is_long: NDArray[np.bool_],
) -> tuple[Indices, Indices]:
    """Return pairs of short runs that touch; the first of each pair is a run of `pixels`."""
    pairs = []
    for step in (-width, width):
        beside = pixels + step
        inside = (beside >= 0) & (beside < len(flat))
        beside, own, owner = beside[inside], pixels[inside], run[inside]
        same = (flat[beside] == flat[own]) & ~is_long[beside]
        pairs.append((owner[same], np.searchsorted(starts, beside[same], side="right") - 1))
    pairs.append((run, run))  # for runs that touch no other
    first, second = (np.concatenate(one) for one in zip(*pairs, strict=True))
    return first, second


def _joined(
    width: int,
    below: int,
    short: _Runs,
    links: tuple[Indices, Indices],
    attached: NDArray[np.bool_],
) -> Iterator[_Piece]:
    """Yield the pieces that short runs form, except large ones and those that touch a long run."""
    # scipy's connected_components, with the pieces sorted into this order, takes twice as long for
    # thousands of runs, and 10 times as long for 50
    members = {run: [run] for run in links[0].tolist()}  # of the piece that a run is in
    for first, second in zip(*(one.tolist() for one in links), strict=True):
        own, other = members[first], members.setdefault(second, [second])
        if own is not other:
            own += other
            members.update(dict.fromkeys(other, own))
    pieces = {id(one): one for one in members.values()}
    for own in pieces.values():
        lengths = short.lengths[own]
        area = int(lengths.sum())
        if area >= below or attached[own].any():
            continue
        y, x = np.divmod(short.starts[own], width)
        top, left = int(y.min()), int(x.min())
        mask = np.zeros((int(y.max()) + 1 - top, int((x + lengths).max()) - left), bool)
        for row, column, length in zip(y - top, x - left, lengths, strict=True):
            mask[row, column : column + length] = True
        yield _Piece(area, top, left, mask)


def _neighbour(ids: LocalIds, sides: NDArray[np.uint8], stuff_ids: Sequence[int]) -> int:
    """Return the stuff with which a piece shares the most sides; void if there is none."""
    last = max(stuff_ids)
    found = (sides > 0) & (ids <= last)
    borders = np.bincount(ids[found], sides[found], last + 1)[list(stuff_ids)]
    return int(stuff_ids[int(borders.argmax())]) if borders.any() else VOID
