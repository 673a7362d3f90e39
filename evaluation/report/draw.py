"""Pictures of panoptic segments over a photo."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from conversion.coco.png import VOID, SegmentIds
from evaluation.report.lettering import render

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
WRONG = (235, 30, 30)
LETTERS, LEAST_LETTERS = 0.022, 9  # height: share of the width of the picture, and pixels


def draw_segments(
    photo: Picture,
    ids: SegmentIds,
    segments: Sequence[Segment],
    categories: Sequence[Category],
    *,
    wrong: Collection[int] = (),
) -> Picture:
    """Draw segments over a photo in the colours of their categories, with borders and names.

    `photo` is (h, w, 3) RGB. `ids` is (H, W) uint32, of the same size or of the larger size that
    the photo had before it was shrunk. Void pixels are dimmed. Segments whose id is in `wrong`
    get a red border. Returns a new picture.
    """
    ids = _sampled(ids, photo.shape[:2])
    by_id = {c.id: c for c in categories}
    tint = np.zeros_like(photo)
    for number, segment in enumerate(segments):
        tint[ids == segment.id] = _shade(by_id[segment.category_id], number)
    mixed = np.where((ids == VOID)[..., None], photo * 0.35, photo * 0.4 + tint * 0.6)
    picture = np.ascontiguousarray(mixed.astype(np.uint8))
    picture[_borders(ids)] = 255
    red = _borders(np.where(np.isin(ids, list(wrong)), ids, 0).astype(np.uint32))
    picture[cv2.dilate(red.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0] = WRONG
    for segment in segments:
        _write_name(picture, ids == segment.id, by_id[segment.category_id])
    return picture


def shrink(photo: Picture, *, long_side: int) -> Picture:
    """Resize a photo to at most `long_side` pixels on its longer side; never enlarge it."""
    height, width = photo.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return photo
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _sampled(ids: SegmentIds, size: tuple[int, ...]) -> SegmentIds:
    """Sample the ids at the centre of each pixel of a picture of `size`, (height, width)."""
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


def _write_name(picture: Picture, mask: NDArray[np.bool_], category: Category) -> None:
    """Write a name at the innermost point of a segment, if the segment is large enough."""
    size = max(round(picture.shape[1] * LETTERS), LEAST_LETTERS)
    lettering = render(category.name, height=size, otherwise=f"#{category.id}")
    height, width = lettering.letters.shape
    if np.count_nonzero(mask) < 2 * width * height:
        return
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(padded, cv2.DIST_L2, 3))
    left = int(np.clip(x - width // 2, 0, max(0, picture.shape[1] - width)))
    top = int(np.clip(y - height // 2, 0, max(0, picture.shape[0] - height)))
    lettering.write(picture, left=left, top=top)
