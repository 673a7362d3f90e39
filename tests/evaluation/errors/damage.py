"""Photos with a perfect prediction, damaged by a known list of errors of every kind.

A photo is a grid of cells on two kinds of stuff. Each cell has at most one thing, at a random place
and of a random size, and at most one error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment, measure
from conversion.coco.png import SegmentIds
from evaluation.errors.kinds import Kind
from evaluation.scores.matching import PhotoMatch, match_photo

THINGS, SKY, GRASS, ROAD, PATH = (1, 2, 3), 4, 5, 6, 7
CATEGORIES = tuple(
    Category(number, f"category {number}", number in THINGS, (number, 0, 0))
    for number in range(1, 8)
)
CELL, ROWS, COLUMNS = 40, 4, 6
DAMAGES: tuple[Kind | None, ...] = (
    *("wrong category", "split", "merged", "stuff over stuff", "loose"),
    *("wrong category and loose", "missed", "invented", None),
)
Rect = tuple[int, int, int, int]  # top, left, height, width


@dataclass
class Damaged:
    """Two maps of segment ids, and the kinds of the errors in them, by segment id."""

    rng: np.random.Generator
    true: SegmentIds = field(default_factory=lambda: _background())
    predicted: SegmentIds = field(default_factory=lambda: _background())
    categories: dict[int, int] = field(default_factory=lambda: {1: SKY, 2: GRASS})
    missed: dict[int, Kind] = field(default_factory=dict)
    false: dict[int, Kind] = field(default_factory=dict)

    def paint(self, ids: SegmentIds, rect: Rect, category: int) -> int:
        """Paint a new segment and return its id."""
        number = len(self.categories) + 1
        top, left, height, width = rect
        ids[top : top + height, left : left + width] = number
        self.categories[number] = category
        return number

    def match(self) -> PhotoMatch:
        """Match the prediction with the ground truth."""
        truth, prediction = (self._photo(ids) for ids in (self.true, self.predicted))
        return match_photo(truth, self.true, prediction, self.predicted)

    def _photo(self, ids: SegmentIds) -> Photo:
        segments = tuple(
            Segment(number, self.categories[number], *extent)
            for number, extent in measure(ids).items()
        )
        return Photo(1, "a.jpg", ids.shape[1], ids.shape[0], "a.png", segments)


def _background() -> SegmentIds:
    ids = np.full((ROWS * CELL, COLUMNS * CELL), 2, np.uint32)
    ids[: ROWS * CELL // 2] = 1
    return ids


def damaged_photo(seed: int) -> Damaged:
    """Return a photo with a random error, or none, in every cell."""
    rng = np.random.default_rng(seed)
    photo = Damaged(rng)
    for row in range(ROWS):
        for column in range(COLUMNS):
            kind = DAMAGES[int(rng.integers(len(DAMAGES)))]
            _damage(photo, kind, row * CELL, column * CELL)
    return photo


def _damage(photo: Damaged, kind: Kind | None, top: int, left: int) -> None:
    rng = photo.rng
    height, width = (int(side) for side in rng.integers(12, 20, 2))
    y, x = top + int(rng.integers(1, 5)), left + int(rng.integers(1, 5))
    rect, category = (y, x, height, width), int(rng.choice(THINGS))
    other = int(rng.choice([each for each in THINGS if each != category]))
    if kind == "stuff over stuff":
        _swap_stuff(photo, rect)
    elif kind == "merged":
        _merge(photo, rect, category)
    elif kind == "invented":
        photo.false[photo.paint(photo.predicted, rect, category)] = kind
    else:
        true = photo.paint(photo.true, rect, category)
        if kind is None:
            photo.paint(photo.predicted, rect, category)
        elif kind == "missed":
            photo.missed[true] = kind
        elif kind == "split":
            _split(photo, true, rect, category)
        elif kind == "wrong category":
            smaller = (y, x, height - 2, width)
            photo.missed[true] = kind
            photo.false[photo.paint(photo.predicted, smaller, other)] = kind
        else:
            moved = int(width * rng.uniform(0.4, 0.75))  # an IoU of 0.14 to 0.43
            found = category if kind == "loose" else other
            photo.missed[true] = kind
            shifted = (y, x + moved, height, width)
            photo.false[photo.paint(photo.predicted, shifted, found)] = kind


def _split(photo: Damaged, true: int, rect: Rect, category: int) -> None:
    """Predict two pieces: halves, or most of the thing and a leftover."""
    y, x, height, width = rect
    is_hit = photo.rng.random() < 0.5
    first = int(0.7 * width) if is_hit else width // 2
    pieces = ((y, x, height, first), (y, x + first, height, first if not is_hit else width - first))
    large, small = (photo.paint(photo.predicted, piece, category) for piece in pieces)
    photo.false[small] = "split"
    if not is_hit:
        photo.missed[true] = photo.false[large] = "split"


def _merge(photo: Damaged, rect: Rect, category: int) -> None:
    """Predict one segment for two neighbours: of equal size, or a large and a small one."""
    y, x, height, width = rect
    width = min(width, CELL // 2 - 3)  # both are within the cell
    is_hit = photo.rng.random() < 0.5
    second = width // 3 if is_hit else width
    first = photo.paint(photo.true, (y, x, height, width), category)
    other = photo.paint(photo.true, (y, x + width, height, second), category)
    both = photo.paint(photo.predicted, (y, x, height, width + second), category)
    photo.missed[other] = "merged"
    if not is_hit:
        photo.missed[first] = photo.false[both] = "merged"


def _swap_stuff(photo: Damaged, rect: Rect) -> None:
    """Predict the background in place of other stuff, or other stuff in place of the background."""
    if photo.rng.random() < 0.5:
        photo.missed[photo.paint(photo.true, rect, ROAD)] = "stuff over stuff"
    else:
        photo.false[photo.paint(photo.predicted, rect, PATH)] = "stuff over stuff"
