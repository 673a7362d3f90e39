"""The segments of a prediction as Labelme shapes with few vertices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import count

import numpy as np
import shapely

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import mask_figure
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.panoptic import Photo
from conversion.coco.png import SegmentIds
from conversion.painting.raster import polygon_masks
from conversion.proposing.simplify import simplify

Outline = list[tuple[float, float]]  # x, y in pixels

LEAST_IOU = 0.95  # of a shape and the predicted mask
_TRIED = (0.95, 0.97, 0.99, 1.0)  # of areas; the pixels at the border may differ a little more
_AROUND = 8  # pixels around a mask into which its simplified outline may extend
_ALL_PIXELS = 0.99  # share of a mask's pixels, beyond which its smallest parts are left out


def shapes_of_prediction(
    photo: Photo,
    ids: SegmentIds,
    categories: Iterable[Category],
    *,
    labels: Collection[str],
    only: Collection[int] | None = None,
    first_group: int = 1,
) -> Iterator[Shape]:
    """Yield the predicted segments of a photo whose category is among `labels` as polygons.

    `ids` are (H, W) uint32 segment ids. `only` are the ids of the wanted segments, or None
    for all. The parts of one segment share a group id, counted from `first_group`. Holes are
    filled.
    """
    names, groups = {c.id: c.name for c in categories}, count(first_group)
    for segment in photo.segments:
        label = names[segment.category_id]
        if label in labels and (only is None or segment.id in only):
            mask = CroppedMask.of_segment(ids, segment.id, segment.bbox)
            outlines = outlines_of(mask, width=photo.width, height=photo.height)
            group = next(groups) if len(outlines) > 1 else None
            score = "" if segment.score is None else f"score {segment.score:.2f}"
            for outline in outlines:
                yield Shape(label, tuple(outline), group_id=group, description=score)


def outlines_of(mask: CroppedMask, *, width: int, height: int) -> list[Outline]:
    """Return the outline of each part of a mask, the largest first, within a picture of this size.

    The IoU of the pixels that they cover and the mask is at least LEAST_IOU, unless the mask has
    holes, which are filled, or parts that make up less than a hundredth of it, which are left out.
    """
    parts = list(shapely.get_parts(mask_figure(mask.pixels, (mask.x, mask.y))))
    parts.sort(key=lambda part: -float(part.area))
    sums = np.cumsum([part.area for part in parts])
    kept = parts[: 1 + int(np.searchsorted(sums, _ALL_PIXELS * sums[-1]))]
    found: list[Outline] = []
    for least in _TRIED:
        simple = (simplify(part, least_iou=least) for part in kept)
        found = [[(_within(x, width), _within(y, height)) for x, y in one] for one in simple]
        if _iou(found, mask) >= LEAST_IOU:
            break
    return found


def _within(value: float, most: int) -> float:
    return round(min(max(value, 0.0), float(most)), 1)


def _iou(outlines: Iterable[Outline], mask: CroppedMask) -> float:
    """Return the IoU of the pixels that outlines cover, as the conversion paints them."""
    height, width = mask.pixels.shape
    corner = (mask.x - _AROUND, mask.y - _AROUND)
    size = {"height": height + 2 * _AROUND, "width": width + 2 * _AROUND}
    covered = np.zeros(tuple(size.values()), bool)
    for filled in polygon_masks([np.array(outline) - corner for outline in outlines], **size):
        filled.paint(covered, 1)
    wanted = np.pad(mask.pixels, _AROUND)
    return float((covered & wanted).sum() / (covered | wanted).sum())
