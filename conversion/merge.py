"""Mask arithmetic: things painted over stuff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.labelme import Annotation, outline
from conversion.categories import Category
from conversion.panoptic import VOID, Segment, SegmentIds, measure
from conversion.raster import polygon_mask


@dataclass(frozen=True)
class Merged:
    """(H, W) uint32 ids 1..n of one photo, their segments, and how many things are fully hidden."""

    ids: SegmentIds
    segments: tuple[Segment, ...]
    hidden: int


def merge(
    annotation: Annotation, stuff: NDArray[np.uint16], categories: tuple[Category, ...]
) -> Merged:
    """Paint a photo's shapes, in the order drawn, over its stuff, (H, W) uint16 category ids.

    Each stuff category is one segment; shapes of one label and `group_id` are one segment. Ids
    count from 1: stuff by category id, then instances by their first shape. Area and box are
    those of the pixels that stay visible; what nothing covers stays void.
    """
    category_of: list[int] = []  # of segment id i + 1
    ids = np.zeros(stuff.shape, np.uint32)
    for category_id in np.unique(stuff[stuff != VOID]).tolist():
        category_of.append(category_id)
        ids[stuff == category_id] = len(category_of)
    height, width = stuff.shape
    id_of_label = {c.name: c.id for c in categories if c.isthing}
    first_thing = len(category_of) + 1
    for instance, label, polygon in _instances(annotation):
        segment_id = first_thing + instance
        if segment_id > len(category_of):
            category_of.append(id_of_label[label])
        mask, (x, y) = polygon_mask(polygon, height=height, width=width)
        ids[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = segment_id
    return _measured(ids, category_of, first_thing)


def _instances(annotation: Annotation) -> Iterator[tuple[int, str, NDArray[np.float64]]]:
    """Yield each shape with the number of its instance, 0, 1, ... by first appearance."""
    numbers: dict[tuple[object, ...], int] = {}
    for index, shape in enumerate(annotation.shapes):
        alone = shape.group_id is None
        key = ("alone", index) if alone else ("group", shape.label, shape.group_id)
        yield numbers.setdefault(key, len(numbers)), shape.label, outline(shape)


def _measured(ids: SegmentIds, category_of: Sequence[int], first_thing: int) -> Merged:
    visible = measure(ids)
    things = range(first_thing, len(category_of) + 1)
    segments = tuple(
        Segment(id=segment_id, category_id=category_of[segment_id - 1], area=area, bbox=bbox)
        for segment_id, (area, bbox) in sorted(visible.items())
    )
    return Merged(ids, segments, hidden=sum(i not in visible for i in things))
