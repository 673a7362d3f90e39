"""Mask arithmetic: things painted over stuff."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.instances import Instance, find_instances, painting_order
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask, Extent, box_around, union
from conversion.coco.panoptic import ATTRIBUTES, Segment
from conversion.coco.png import VOID
from conversion.config import Slivers
from conversion.painting.raster import shape_masks
from conversion.painting.slivers import NOTHING_CLEANED, Cleaned, LocalIds, clean_slivers

KEPT = "coco"  # key of shapes for imported values for which Labelme has no keys
MEASURED = frozenset(
    {
        *("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd", "score"),
        *ATTRIBUTES,
    }
)
KEEP_SLIVERS = Slivers()


@dataclass(frozen=True)
class Merged:
    """One photo: (H, W) ids from 1, with 0 for void, and the segments that have pixels.

    `whole` are the pixels of each thing's shapes by segment id, whether visible or not. `hidden`
    things have no visible pixels and `dropped` things too few; both are given by the index of their
    first shape. `ignored_pixels` became void. `slivers` counts the reassigned pixels of stuff.
    """

    ids: LocalIds
    segments: tuple[Segment, ...]
    whole: dict[int, CroppedMask]
    instances: dict[int, Instance]
    hidden: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    dropped_pixels: int = 0
    ignored_pixels: int = 0
    slivers: Cleaned = NOTHING_CLEANED


def merge(
    shapes: Sequence[Shape],
    stuff: NDArray[np.uint16],
    categories: tuple[Category, ...],
    config: DatasetConfig,
    *,
    least_visible: float = 0,
    slivers: Slivers = KEEP_SLIVERS,
) -> Merged:
    """Paint a photo's shapes, in the set's order, over its stuff, (H, W) uint16 category ids.

    Each stuff category is one segment. Shapes with the same label and `group_id` are one segment,
    without the holes of their group. Ignored regions become a crowd if they name a thing, and void
    otherwise. Ids count from 1: stuff by category id, then things by their first shape. Area and
    box are those of the visible pixels. Pixels that nothing covers remain void.

    A thing whose visible share is smaller than `least_visible` is left out, and what is below it
    becomes visible. Slivers are reassigned last, to include those that painting creates.
    """
    canvas = _Canvas(shapes, stuff, config)
    ids = canvas.painted()
    dropped: dict[int, int] = {}  # instances and their visible pixels
    while least_visible and (low := canvas.barely_visible(ids, least_visible)):
        top = max(low, key=canvas.order.index)  # what it hides may become visible
        dropped[top] = low[top]
        ids = canvas.painted(dropped)
    cleaned, done = clean_slivers(ids, slivers, range(1, len(canvas.stuff) + 1))
    merged = canvas.measured(cleaned, categories)
    hidden = [i for i, own in canvas.id_of.items() if own not in merged.whole and i not in dropped]
    return replace(
        merged,
        hidden=tuple(canvas.instances[i].parts[0] for i in hidden),
        dropped=tuple(sorted(canvas.instances[i].parts[0] for i in dropped)),
        dropped_pixels=sum(dropped.values()),
        ignored_pixels=canvas.ignored_pixels(ids, dropped),
        slivers=done,
    )


class _Canvas:
    """The stuff and the instances of one photo with their pixels, ready to be painted."""

    def __init__(
        self, shapes: Sequence[Shape], stuff: NDArray[np.uint16], config: DatasetConfig
    ) -> None:
        self.shapes, self.config = shapes, config
        self.stuff = _present(stuff)
        self.instances = find_instances(shapes, config)
        things = [i for i, one in enumerate(self.instances) if config.thing_of(one.label)]
        self.id_of = {i: len(self.stuff) + n for n, i in enumerate(things, start=1)}
        last = len(self.stuff) + len(things)
        self._ground = _renumber(stuff, self.stuff, np.uint8 if last < 256 else np.uint16)
        height, width = stuff.shape
        self.parts: dict[int, CroppedMask] = {}
        used = sorted({i for one in self.instances for i in (*one.parts, *one.holes)})
        size = {"height": height, "width": width, "line_width": config.line_width}
        masks = dict(zip(used, shape_masks([shapes[i] for i in used], **size), strict=True))
        for instance in self.instances:
            holes = [masks[hole] for hole in instance.holes]
            self.parts |= {part: masks[part].without(*holes) for part in instance.parts}
        by_area = config.painting == "smaller-on-top"
        areas = [self.whole(i).area for i in range(len(self.instances))] if by_area else []
        self._painting = painting_order(self.instances, config, areas)
        self.order = [owner for _, owner in self._painting]  # the lowest first

    def whole(self, index: int) -> CroppedMask:
        """Return all pixels of an instance, whether visible or not."""
        return union(self.parts[part] for part in self.instances[index].parts)

    def painted(self, left_out: Collection[int] = ()) -> LocalIds:
        """Return (H, W) ids of what is visible if some instances are left out."""
        ids = self._ground.copy()
        for part, owner in self._painting:
            if owner not in left_out:
                self.parts[part].paint(ids, self.id_of.get(owner, VOID))
        painted: LocalIds = ids
        return painted

    def barely_visible(self, ids: LocalIds, least: float) -> dict[int, int]:
        """Count the visible pixels of things whose visible share is smaller than `least`."""
        areas = {i: self._visible(ids, i).area for i in self.id_of}
        return {i: area for i, area in areas.items() if 0 < area < least * self.whole(i).area}

    def _visible(self, ids: LocalIds, index: int) -> CroppedMask:
        """Return the pixels of a thing that nothing covers in (H, W) `ids`."""
        box = box_around(self.parts[part] for part in self.instances[index].parts)
        return CroppedMask.of_segment(ids, self.id_of[index], box)

    def ignored_pixels(self, ids: LocalIds, left_out: Iterable[int]) -> int:
        """Count the pixels that are void because of ignored regions."""
        ignored = [i for i in range(len(self.instances)) if i not in self.id_of]
        if not ignored:
            return 0
        without_them = self.painted([*ignored, *left_out])
        return int(np.count_nonzero((ids == VOID) & (without_them != VOID)))

    def measured(self, ids: LocalIds, categories: tuple[Category, ...]) -> Merged:
        """Return the segments that have pixels, with their area and box."""
        segments = [
            Segment(segment_id, category_id, *found)
            for segment_id, category_id in enumerate(self.stuff, start=1)
            if (found := CroppedMask(ids == segment_id).measure())
        ]
        thing_of = {c.name: c.id for c in categories if c.isthing}
        whole, instances = {}, {}
        for index in self.id_of:
            if found := self._visible(ids, index).measure():
                segment_id, instance = self.id_of[index], self.instances[index]
                category_id = thing_of[self.config.thing_of(instance.label) or ""]
                segments.append(self._thing(segment_id, category_id, found, instance))
                whole[segment_id], instances[segment_id] = self.whole(index), instance
        return Merged(ids, tuple(segments), whole, instances)

    def _thing(
        self, segment_id: int, category_id: int, found: Extent, instance: Instance
    ) -> Segment:
        return Segment(
            segment_id,
            category_id,
            *found,
            iscrowd=instance.ignored or "crowd" in instance.flags,
            attributes=tuple(name for name in ATTRIBUTES if name in instance.flags),
            extra=_kept_keys(self.shapes[instance.parts[0]]),
        )


def _present(values: NDArray[np.uint16]) -> list[int]:
    """Return the values other than void, in ascending order.

    Every value is in the first row, or in a pixel that differs from the one above it.
    """
    changed = np.flatnonzero(values[1:] != values[:-1])
    found = np.concatenate([values[:1].ravel(), values[1:].ravel()[changed]])
    return [value for value in np.unique(found).tolist() if value != VOID]


def _renumber(values: NDArray[np.uint16], present: Sequence[int], dtype: type) -> LocalIds:
    """Number the values from 1 in the order of `present`; 0 remains 0."""
    table: NDArray[Any] = np.zeros(max(256, *present, 0) + 1, dtype)
    table[list(present)] = np.arange(1, len(present) + 1)
    if max(present, default=0) < 256 and dtype is np.uint8:
        return np.asarray(cv2.LUT(values.astype(np.uint8), table[:256]))  # several times faster
    renumbered: LocalIds = table[values]
    return renumbered


def _kept_keys(shape: Shape) -> dict[str, Any]:
    """Return the COCO keys that an import kept with a shape, except those computed again."""
    kept = shape.extra.get(KEPT)
    return {k: v for k, v in kept.items() if k not in MEASURED} if isinstance(kept, dict) else {}
