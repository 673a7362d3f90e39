"""Slivers: pieces of stuff too small to mean anything, as sources and painting leave them."""

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
    """Pixels of stuff that went to other stuff, and to void."""

    moved: int = 0
    voided: int = 0


NOTHING_CLEANED = Cleaned()


@dataclass(frozen=True)
class _Piece:
    """A piece of stuff: its number of pixels and the (h, w) pixels of its box at y, x."""

    area: int
    y: int
    x: int
    mask: NDArray[np.bool_]

    def box(self, margin: int = 0) -> tuple[slice, slice]:
        """Rows and columns of the box, and some more around it inside the picture."""
        height, width = self.mask.shape
        return (
            slice(max(0, self.y - margin), self.y + height + margin),
            slice(max(0, self.x - margin), self.x + width + margin),
        )


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
            sides[mask > 0] = 0  # that the piece shares with each pixel around it
            ring = sides > 0
            if fresh[around][ring].any():
                again = True  # it may have grown
                continue
            target = VOID if rule.to == "void" else _neighbour(ids[around], sides, stuff_ids)
            again |= bool(small[around][ring & (ids[around] == target)].any())
            ids[around][mask > 0] = target
            fresh[around][mask > 0] = True
    changed = ids != before
    voided = int(np.count_nonzero(changed & (ids == VOID)))
    return ids, Cleaned(int(np.count_nonzero(changed)) - voided, voided)


def _small_pieces(ids: LocalIds, below: int, stuff_ids: Sequence[int]) -> Iterator[_Piece]:
    """Pieces of stuff with less than `below` pixels.

    A piece has no more pixels in a row than in all, so only short runs of equal pixels are looked
    at: a hundredth of the picture, where labelling it would take most of the time of a conversion.
    Most of them hang on a long run above or below, and are done.
    """
    flat = ids.ravel()
    short = _short_runs(ids, below, stuff_ids)
    pixels, run = short.pixels()
    is_long = np.ones(ids.size, bool)
    is_long[pixels] = False
    hangs = np.zeros(len(pixels), bool)
    for step in (-ids.shape[1], ids.shape[1]):
        beside = np.clip(pixels + step, 0, ids.size - 1)  # beyond the border it is itself, or else
        hangs |= (flat[beside] == flat[pixels]) & is_long[beside] & (beside == pixels + step)
    grounded = np.bincount(run, hangs, len(short.starts)) > 0
    loose = ~grounded[run]
    if loose.any():
        links = _links(flat, pixels[loose], run[loose], short.starts, ids.shape[1], is_long)
        for _ in range(below):  # what hangs on what hangs on a long run, and so on
            hangs_on = np.bincount(links[0], grounded[links[1]], len(grounded)) > 0
            if not (hangs_on & ~grounded).any():
                break
            grounded |= hangs_on
        left = ~grounded[links[0]]
        yield from _joined(ids.shape[1], below, short, (links[0][left], links[1][left]), grounded)


@dataclass(frozen=True)
class _Runs:
    """Runs of equal pixels in rows, (N,) places in the flat picture and lengths."""

    starts: Indices
    lengths: Indices

    def pixels(self) -> tuple[Indices, Indices]:
        """Place and run of each pixel."""
        run = np.repeat(np.arange(len(self.starts)), self.lengths)
        before = self.lengths.cumsum() - self.lengths
        return np.arange(len(run)) + (self.starts - before)[run], run


def _short_runs(ids: LocalIds, below: int, stuff_ids: Sequence[int]) -> _Runs:
    """Runs of stuff with less than `below` pixels."""
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
    """Pairs of short runs that touch, one of them a run of `pixels`."""
    pairs = []
    for step in (-width, width):
        beside = pixels + step
        inside = (beside >= 0) & (beside < len(flat))
        beside, own, of = beside[inside], pixels[inside], run[inside]
        same = (flat[beside] == flat[own]) & ~is_long[beside]
        pairs.append((of[same], np.searchsorted(starts, beside[same], side="right") - 1))
    pairs.append((run, run))  # for those that touch none
    first, second = (np.concatenate(one) for one in zip(*pairs, strict=True))
    return first, second


def _joined(
    width: int,
    below: int,
    short: _Runs,
    links: tuple[Indices, Indices],
    grounded: NDArray[np.bool_],
) -> Iterator[_Piece]:
    """The pieces that short runs form, but those that hang on a long one or are large together."""
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
        if area >= below or grounded[own].any():
            continue
        y, x = np.divmod(short.starts[own], width)
        top, left = int(y.min()), int(x.min())
        mask = np.zeros((int(y.max()) + 1 - top, int((x + lengths).max()) - left), bool)
        for row, column, length in zip(y - top, x - left, lengths, strict=True):
            mask[row, column : column + length] = True
        yield _Piece(area, top, left, mask)


def _neighbour(ids: LocalIds, sides: NDArray[np.uint8], stuff_ids: Sequence[int]) -> int:
    """The stuff with the most sides in common; void where there is none."""
    last = max(stuff_ids)
    found = (sides > 0) & (ids <= last)
    borders = np.bincount(ids[found], sides[found], last + 1)[list(stuff_ids)]
    return int(stuff_ids[int(borders.argmax())]) if borders.any() else VOID
