"""Grouping the shapes of a photo into instances, with the holes that are cut from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from annotation.dataset import DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import LINES, UNPAINTED, outline
from annotation.labelme.proposals import is_proposed

_NO_OUTLINE = frozenset({"mask", *LINES})
CARRIED_FLAGS = ("crowd", "occluded", "truncated")  # passed on to COCO and FiftyOne


@dataclass(frozen=True)
class Instance:
    """One thing, one region to ignore, or the grouped shapes of one stuff category.

    `parts` and `holes` are indices of shapes in the order in which they were drawn.
    """

    label: str
    parts: tuple[int, ...]
    holes: tuple[int, ...]
    flags: frozenset[str]  # of CARRIED_FLAGS, those set on any part
    ignored: bool = False


def instance_outlines(instance: Instance, shapes: Sequence[Shape]) -> list[list[float]] | None:
    """Return COCO polygons of the parts, flat lists of x, y in pixels.

    Returns None if polygons cannot represent the instance: crowds, holes, masks and lines need
    pixels.
    """
    kinds = {shapes[part].shape_type for part in instance.parts}
    if instance.holes or instance.ignored or "crowd" in instance.flags or kinds & _NO_OUTLINE:
        return None
    return [_flat(shapes[part]) for part in instance.parts]


def _flat(shape: Shape) -> list[float]:
    """Return the outline as x, y, x, y, ...; polygons skip numpy, which is 3 times faster."""
    if shape.shape_type == "polygon" and len(shape.points) >= 3:
        flat = list(chain.from_iterable(shape.points))
        if math.isfinite(sum(flat)) and min(flat) >= -1e9 and max(flat) <= 1e9:
            return flat
    corners: list[float] = outline(shape).ravel().tolist()
    return corners


def painting_order(
    instances: Sequence[Instance], config: DatasetConfig, areas: Sequence[float]
) -> list[tuple[int, int]]:
    """Return pairs (shape, instance) of indices of the parts, from the lowest to the topmost.

    Shapes that the `painting` of the set does not order are painted as drawn. The `areas` of the
    instances matter only for "smaller-on-top".
    """
    ranks = [0.0] * len(instances)
    if config.painting == "smaller-on-top":
        ranks = [-area for area in areas]
    elif config.painting != "as-drawn":
        rank_of = {label: rank for rank, label in enumerate(config.painting, start=1)}
        ranks = [rank_of.get(instance.label, 0) for instance in instances]
    pairs = ((part, owner) for owner, one in enumerate(instances) for part in one.parts)
    return sorted(pairs, key=lambda pair: (ranks[pair[1]], pair[0]))


def find_instances(shapes: Sequence[Shape], config: DatasetConfig) -> tuple[Instance, ...]:
    """Return things and ignored regions in the order of their first part, without stuff.

    Shapes with the same label and `group_id` are one instance. A hole is cut from the instances
    with its `group_id`, and has no effect without one. Lines and points count only if the set
    widens them.
    """
    return _find(shapes, config, stuff=False)


def find_stuff(shapes: Sequence[Shape], config: DatasetConfig) -> tuple[Instance, ...]:
    """Return the shapes that a stuff source declares as stuff, grouped and cut like things."""
    return _find(shapes, config, stuff=True) if config.stuff_labels else ()


def _find(shapes: Sequence[Shape], config: DatasetConfig, *, stuff: bool) -> tuple[Instance, ...]:
    stuff_labels = config.stuff_labels
    parts: dict[tuple[object, ...], list[int]] = {}
    holes: dict[int, list[int]] = {}
    for index, shape in enumerate(shapes):
        if shape.shape_type in UNPAINTED or is_proposed(shape):
            continue
        if shape.label in config.holes:
            if shape.group_id is not None:
                holes.setdefault(shape.group_id, []).append(index)
        elif (shape.label in stuff_labels) == stuff and (
            config.line_width > 0 or shape.shape_type not in LINES
        ):
            alone = shape.group_id is None
            key = ("alone", index) if alone else ("group", shape.label, shape.group_id)
            parts.setdefault(key, []).append(index)
    return tuple(_instance(shapes, config, tuple(own), holes) for own in parts.values())


def _instance(
    shapes: Sequence[Shape],
    config: DatasetConfig,
    parts: tuple[int, ...],
    holes: dict[int, list[int]],
) -> Instance:
    first = shapes[parts[0]]
    cut = () if first.group_id is None else tuple(holes.get(first.group_id, ()))
    flags = frozenset(
        f for i in parts for f, on in shapes[i].flags.items() if on and f in CARRIED_FLAGS
    )
    return Instance(first.label, parts, cut, flags, first.label in config.ignored)
