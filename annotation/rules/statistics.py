"""What one annotation contributes to the rules about the whole set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from annotation.labelme.instances import Instance
from annotation.rules.figures import figure_arrays
from annotation.rules.judge import CHECKED
from annotation.rules.resolved import ResolvedAnnotation

_NOT_FULLY_VISIBLE = frozenset({"crowd", "occluded", "truncated"})
UNNAMED = -1  # instead of the index of a shape that is counted but not reported


@dataclass(frozen=True, slots=True)
class InstanceSize:
    """The size of one fully visible instance.

    `thing` is an index into the things of the set, `log_area` the logarithm of its area in square
    pixels, `log_aspect` that of its width divided by its height, `shape` the index of its first
    part, or UNNAMED if a person has confirmed it with the flag `checked`.
    """

    thing: int
    log_area: float
    log_aspect: float
    shape: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """The things that one annotation uses, as indices into the things of the set.

    `instances` are pairs of a thing and its number of instances.
    """

    used: tuple[int, ...] = ()
    instances: tuple[tuple[int, int], ...] = ()
    sizes: tuple[InstanceSize, ...] = ()


def statistics_of(resolved: ResolvedAnnotation) -> Statistics:
    """Count the instances of an annotation and measure those that are fully visible."""
    thing_of = {label: number for number, label in enumerate(resolved.config.things)}
    used = {thing_of[shape.label] for shape in resolved.shapes if shape.label in thing_of}
    counted = [one for one in resolved.instances if one.label in thing_of]
    instances = Counter(thing_of[one.label] for one in counted)
    whole = [one for one in counted if not one.flags & _NOT_FULLY_VISIBLE]
    sizes = tuple(_sizes(resolved, whole, thing_of)) if whole else ()
    return Statistics(tuple(sorted(used)), tuple(sorted(instances.items())), sizes)


def _sizes(
    resolved: ResolvedAnnotation, whole: list[Instance], thing_of: dict[str, int]
) -> Iterator[InstanceSize]:
    """Yield the sizes of the instances that the border of the photo does not cut off."""
    if resolved.size is None:
        return
    (height, width), margin = resolved.size, resolved.limits.margin
    arrays = figure_arrays(resolved)
    rows = zip(arrays.areas.tolist(), arrays.boxes.tolist(), strict=True)
    row_of = dict(zip(arrays.index.tolist(), rows, strict=True))
    for instance in whole:
        parts = [row_of[part] for part in instance.parts if part in row_of]
        if not (area := sum(area for area, _ in parts)):
            continue
        x0, y0 = (min(box[i] for _, box in parts) for i in (0, 1))
        x1, y1 = (max(box[i] for _, box in parts) for i in (2, 3))
        if min(x0, y0) > margin and x1 < width - margin and y1 < height - margin:
            shape = instance.parts[0]
            yield InstanceSize(
                thing_of[instance.label],
                math.log(area),
                math.log((x1 - x0) / (y1 - y0)),
                UNNAMED if resolved.shapes[shape].flags.get(CHECKED) else shape,
            )
