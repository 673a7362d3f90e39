"""Shapes with one group_id: parts of one thing, and the holes that cut them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import shapely

from annotation.findings import Complaint
from annotation.labelme.instances import Instance, find_stuff
from annotation.rules.drawing import Drawing
from annotation.rules.measures import Floats, Measured, as_array, common, together


def group_complaints(drawing: Drawing, measured: Measured) -> Iterator[Complaint]:
    """What is wrong with the groups and holes of one photo."""
    holes = [
        index
        for index, shape in enumerate(drawing.shapes)
        if shape.label in drawing.config.holes and shape.problem is None
    ]
    row_of = {index: row for row, index in enumerate(measured.index.tolist())}
    yield from _label_complaints(drawing)
    for instance in drawing.instances:
        if len(instance.parts) > 1 and not instance.ignored and "crowd" not in instance.flags:
            yield from _apart(drawing, measured, row_of, instance)
    yield from _hole_complaints(drawing, measured, row_of, holes)


def _label_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """Groups of several labels, at their first shape that has not the most frequent one.

    Unknown labels have their own complaint.
    """
    groups: dict[int, list[int]] = {}
    for index, shape in enumerate(drawing.shapes):
        if shape.group_id is not None and shape.label in drawing.config.things:
            groups.setdefault(shape.group_id, []).append(index)
    for group, members in groups.items():
        labels = Counter(drawing.shapes[index].label for index in members)
        if len(labels) == 1:
            continue
        usual = labels.most_common(1)[0][0]
        odd = next(index for index in members if drawing.shapes[index].label != usual)
        first = next(index for index in members if drawing.shapes[index].label == usual)
        message = (
            f"group {group}: expected one label, got '{drawing.shapes[odd].label}' here,"
            f" '{usual}' at shapes[{first}]"
        )
        yield Complaint("group-labels", odd, message, "correct the label or the group_id")


def _apart(
    drawing: Drawing, measured: Measured, row_of: dict[int, int], instance: Instance
) -> Iterator[Complaint]:
    """Clusters of parts with a gap around them, at the first part of each but the first cluster.

    Gaps are those of the boxes: never wider than the true ones, so no complaint is made in vain.
    """
    parts = [part for part in instance.parts if part in row_of]
    boxes = measured.boxes[[row_of[part] for part in parts]].reshape(-1, 4)
    diagonal = float(np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T).max(initial=0))
    clusters = _clusters(boxes, drawing.limits.apart * diagonal)
    for cluster in clusters[1:]:
        others = [i for i in range(len(parts)) if i not in cluster]
        gaps = [_gaps(boxes[i], boxes[others]) for i in cluster]
        gap, nearest = min((g.min(), others[int(g.argmin())]) for g in gaps)
        message = (
            f"group {drawing.shapes[parts[0]].group_id}: lies {gap:.0f} px from the nearest other"
            f" part, shapes[{parts[nearest]}]; expected at most {drawing.limits.apart:g} diagonals"
            f" of the largest part, {drawing.limits.apart * diagonal:.0f} px"
        )
        fix = "give the two things different group_ids"
        yield Complaint("group-apart", parts[cluster[0]], message, fix)


def _clusters(boxes: Floats, reach: float) -> list[list[int]]:
    """Rows of boxes, (N, 4), linked by gaps of at most `reach` pixels, by their first rows."""
    left = set(range(len(boxes)))
    clusters = []
    while left:
        cluster = [min(left)]
        left -= {cluster[0]}
        for row in cluster:  # grows while it is walked through
            rest = sorted(left)
            near = {rest[i] for i in np.flatnonzero(_gaps(boxes[row], boxes[rest]) <= reach)}
            cluster += sorted(near)
            left -= near
        clusters.append(sorted(cluster))
    return clusters


def _gaps(box: Floats, boxes: Floats) -> Floats:
    """Distances in pixels of one xyxy box to others, (N, 4)."""
    boxes = boxes.reshape(-1, 4)
    sides = np.maximum(np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]), 0)
    return np.asarray(np.hypot(sides[:, 0], sides[:, 1]))


def _hole_complaints(
    drawing: Drawing, measured: Measured, row_of: dict[int, int], holes: list[int]
) -> Iterator[Complaint]:
    """Holes that cut nothing, or less than was drawn."""
    cut: dict[int, list[int]] = {}
    for instance in (*drawing.instances, *find_stuff(drawing.shapes, drawing.config)):
        for hole in instance.holes:
            cut.setdefault(hole, []).extend(instance.parts)
    groups: dict[int, list[int]] = {}
    for hole in holes:
        shape = drawing.shapes[hole]
        if shape.group_id is None:
            message = f"a '{shape.label}' needs the group_id of the shape that it cuts, got none"
            yield Complaint("hole-alone", hole, message, "give both the same group_id")
        elif hole not in cut:
            message = f"no shape of group {shape.group_id} is there to be cut"
            yield Complaint("hole-alone", hole, message, "correct the group_id, or delete the hole")
        elif hole in row_of and measured.areas[row_of[hole]] > 0:  # else it has its complaint
            groups.setdefault(shape.group_id, []).append(hole)
    for group, members in groups.items():
        parts = [row_of[part] for part in cut[members[0]] if part in row_of]
        yield from _outside(drawing, measured, group, [row_of[hole] for hole in members], parts)


def _outside(
    drawing: Drawing, measured: Measured, group: int, holes: list[int], parts: list[int]
) -> Iterator[Complaint]:
    """Holes, rows of `Measured`, that lie beside the parts of their group."""
    if not measured.areas[parts].any():
        return
    limit = drawing.limits.hole_outside_share
    whole = as_array([together(measured.figures[parts])] * len(holes))
    outside = 1 - shapely.area(common(measured.figures[holes], whole)) / measured.areas[holes]
    for hole, share in zip(holes, outside.tolist(), strict=True):
        if share > limit:
            message = (
                f"{share:.0%} of this hole lies outside the shapes of group {group},"
                f" expected at most {limit:.0%}"
            )
            fix = "draw the hole inside the thing that it cuts"
            yield Complaint("hole-outside", int(measured.index[hole]), message, fix)
