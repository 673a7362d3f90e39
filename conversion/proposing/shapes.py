"""The segments of a prediction as Labelme shapes with few vertices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import count

import shapely

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import mask_figure
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.panoptic import Photo
from conversion.coco.png import SegmentIds
from conversion.proposing.simplify import simplify

LEAST_IOU = 0.95  # of a shape and the predicted mask
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
            outlines = outlines_of(mask)
            group = next(groups) if len(outlines) > 1 else None
            score = "" if segment.score is None else f"score {segment.score:.2f}"
            for outline in outlines:
                points = tuple((round(x, 1), round(y, 1)) for x, y in outline)
                yield Shape(label, points, group_id=group, description=score)


def outlines_of(mask: CroppedMask) -> list[list[tuple[float, float]]]:
    """Return the outline of each part of a mask, x, y in pixels, the largest first.

    Parts that make up less than a hundredth of the mask are left out, and holes are filled.
    """
    parts = list(shapely.get_parts(mask_figure(mask.pixels, (mask.x, mask.y))))
    parts.sort(key=lambda part: -float(part.area))
    total, kept = sum(part.area for part in parts), 0.0
    found = []
    for part in parts:
        if kept >= _ALL_PIXELS * total:
            break
        kept += part.area
        found.append(simplify(part, least_iou=LEAST_IOU))
    return found
