"""Pictures of panoptic segments over a photo."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from conversion.coco.png import VOID, SegmentIds
from evaluation.report.lettering import render
from evaluation.report.outlines import Region, find_regions, innermost

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
LETTERS, LEAST_LETTERS = 0.022, 9  # height: share of the width of the picture, and pixels


def draw_segments(
    photo: Picture, ids: SegmentIds, segments: Sequence[Segment], categories: Sequence[Category]
) -> Picture:
    """Draw segments over a photo as `tint_segments` does, with their names."""
    ids = sample_ids(ids, photo.shape[:2])
    picture = tint_segments(photo, ids, segments, categories)
    by_id = {c.id: c for c in categories}
    regions = find_regions(ids)
    for segment in segments:
        if segment.id in regions:  # a small segment may vanish in a shrunk photo
            _write_name(picture, regions[segment.id], by_id[segment.category_id])
    return picture


def tint_segments(
    photo: Picture, ids: SegmentIds, segments: Sequence[Segment], categories: Sequence[Category]
) -> Picture:
    """Draw segments over a photo in the colours of their categories, with white borders.

    `photo` is (H, W, 3) RGB and `ids` (H, W) uint32. Void pixels are dimmed. Returns a new picture.
    """
    by_id = {c.id: c for c in categories}
    tint = np.zeros_like(photo)
    for number, segment in enumerate(segments):
        tint[ids == segment.id] = _shade(by_id[segment.category_id], number)
    mixed = np.where((ids == VOID)[..., None], photo * 0.35, photo * 0.4 + tint * 0.6)
    picture = np.ascontiguousarray(mixed.astype(np.uint8))
    picture[_borders(ids)] = 255
    return picture


def shrink(photo: Picture, *, long_side: int) -> Picture:
    """Resize a photo to at most `long_side` pixels on its longer side; never enlarge it."""
    height, width = photo.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return photo
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def letter_height(width: int) -> int:
    """Return the height of names in pixels in a picture of this width."""
    return max(round(width * LETTERS), LEAST_LETTERS)


def sample_ids(ids: SegmentIds, size: tuple[int, ...]) -> SegmentIds:
    """Sample ids at the centre of each pixel of a smaller picture of `size`, (height, width)."""
    pairs = zip(ids.shape, size, strict=True)
    centres = [(2 * np.arange(small) + 1) * large // (2 * small) for large, small in pairs]
    sampled: SegmentIds = ids[np.ix_(*centres)]
    return sampled


def _shade(category: Category, number: int) -> NDArray[np.uint8]:
    """The colour of the category; things vary in brightness to tell instances apart."""
    factor = (1.0, 0.8, 0.9, 0.7)[number % 4] if category.isthing else 1.0
    return (np.array(category.color) * factor).astype(np.uint8)


def _borders(ids: SegmentIds) -> NDArray[np.bool_]:
    """(H, W) pixels whose right or lower neighbour belongs to another segment."""
    border = np.zeros(ids.shape, bool)
    border[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    border[:-1] |= ids[:-1] != ids[1:]
    return border


def _write_name(picture: Picture, region: Region, category: Category) -> None:
    """Write a name at the innermost point of a segment, if the segment is large enough."""
    size = letter_height(picture.shape[1])
    lettering = render(category.name, height=size, otherwise=f"#{category.id}")
    height, width = lettering.letters.shape
    if np.count_nonzero(region.mask) < 2 * width * height:
        return
    place = innermost(region)
    x, y = round(place.x * region.width / 100), round(place.y * region.height / 100)
    left = int(np.clip(x - width // 2, 0, max(0, picture.shape[1] - width)))
    top = int(np.clip(y - height // 2, 0, max(0, picture.shape[0] - height)))
    lettering.write(picture, left=left, top=top)
