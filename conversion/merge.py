"""Mask arithmetic: things painted over stuff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.instances import Instance, find_instances
from annotation.labelme import Shape
from conversion.categories import Category
from conversion.panoptic import ATTRIBUTES, VOID, Segment, SegmentIds, measure
from conversion.raster import shape_mask

KEPT = "coco"  # where shapes carry what an import could not say in Labelme's words
MEASURED = frozenset(
    {
        *("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd", "score"),
        *ATTRIBUTES,
    }
)


@dataclass(frozen=True)
class Merged:
    """(H, W) uint32 ids 1..n of one photo, their segments, and how many things are fully hidden."""

    ids: SegmentIds
    segments: tuple[Segment, ...]
    hidden: int


def merge(
    shapes: Sequence[Shape],
    stuff: NDArray[np.uint16],
    categories: tuple[Category, ...],
    config: DatasetConfig,
) -> Merged:
    """Paint a photo's shapes, in the order drawn, over its stuff, (H, W) uint16 category ids.

    Each stuff category is one segment; shapes of one label and `group_id` are one segment, less
    the holes of their group. Regions to ignore become void. Ids count from 1: stuff by category
    id, then instances by their first shape. Area and box are those of the pixels that stay
    visible; what nothing covers stays void.
    """
    stuff_ids = np.unique(stuff[stuff != VOID]).tolist()
    ids = np.zeros(stuff.shape, np.uint32)
    for segment_id, category_id in enumerate(stuff_ids, start=1):
        ids[stuff == category_id] = segment_id
    instances = find_instances(shapes, config)
    things = [instance for instance in instances if not instance.ignored]
    id_of = {thing: len(stuff_ids) + i for i, thing in enumerate(things, start=1)}
    owner = {part: instance for instance in instances for part in instance.parts}
    for part in sorted(owner):
        instance = owner[part]
        segment_id = id_of.get(instance, VOID)
        _paint(ids, shapes, part, instance.holes, segment_id, config.line_width)
    id_of_label = {c.name: c.id for c in categories if c.isthing}
    category_of = [*stuff_ids, *(id_of_label[thing.label] for thing in things)]
    extras = [_kept_keys(shapes[thing.parts[0]]) for thing in things]
    return _measured(ids, category_of, things, extras)


def _paint(
    ids: SegmentIds,
    shapes: Sequence[Shape],
    part: int,
    holes: Sequence[int],
    segment_id: int,
    line_width: float,
) -> None:
    """Give the pixels of one part to a segment, within the part's box; `ids` is changed."""
    height, width = ids.shape
    mask, (x, y) = shape_mask(shapes[part], height=height, width=width, line_width=line_width)
    bottom, right = y + mask.shape[0], x + mask.shape[1]
    for hole in holes:
        cut, (left, top) = shape_mask(
            shapes[hole], height=height, width=width, line_width=line_width
        )
        whole = np.zeros(ids.shape, bool)
        whole[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        mask = mask & ~whole[y:bottom, x:right]
    ids[y:bottom, x:right][mask] = segment_id


def _kept_keys(shape: Shape) -> dict[str, Any]:
    """COCO's keys that an import left on a shape, but those that are measured anew."""
    kept = shape.extra.get(KEPT)
    return {k: v for k, v in kept.items() if k not in MEASURED} if isinstance(kept, dict) else {}


def _measured(
    ids: SegmentIds,
    category_of: Sequence[int],
    things: Sequence[Instance],
    extras: Sequence[dict[str, Any]],
) -> Merged:
    visible = measure(ids)
    first_thing = len(category_of) - len(things) + 1
    flags = {first_thing + i: thing.flags for i, thing in enumerate(things)}
    extra_of = dict(enumerate(extras, start=first_thing))
    segments = tuple(
        Segment(
            id=segment_id,
            category_id=category_of[segment_id - 1],
            area=area,
            bbox=bbox,
            iscrowd="crowd" in flags.get(segment_id, ()),
            attributes=tuple(name for name in ATTRIBUTES if name in flags.get(segment_id, ())),
            extra=extra_of.get(segment_id, {}),
        )
        for segment_id, (area, bbox) in sorted(visible.items())
    )
    return Merged(ids, segments, hidden=sum(i not in visible for i in flags))
