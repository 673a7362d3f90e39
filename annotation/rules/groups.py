"""Shapes with the same group_id: the parts of one thing, and the holes that cut them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import shapely

from annotation.findings import Complaint
from annotation.labelme.annotation import UnreadableShape
from annotation.labelme.instances import Instance, find_stuff
from annotation.rules.figures import FigureArrays, Floats, as_array, intersections, union
from annotation.rules.resolved import ResolvedAnnotation


def group_complaints(resolved: ResolvedAnnotation, arrays: FigureArrays) -> Iterator[Complaint]:
    """Check the groups and holes of one photo."""
    holes = [
        index
        for index, shape in enumerate(resolved.shapes)
        if shape.label in resolved.config.holes and not isinstance(shape, UnreadableShape)
    ]
    row_of = {index: row for row, index in enumerate(arrays.index.tolist())}
    yield from _label_complaints(resolved)
    for instance in resolved.instances:
        if len(instance.parts) > 1 and not instance.ignored and "crowd" not in instance.flags:
            yield from _distant_parts(resolved, arrays, row_of, instance)
    yield from _hole_complaints(resolved, arrays, row_of, holes)


def _label_complaints(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report groups with several labels, at the first shape without the most frequent label.

    Unknown labels are reported by another rule.
    """
    groups: dict[int, list[int]] = {}
    for index, shape in enumerate(resolved.shapes):
        if shape.group_id is not None and shape.label in resolved.config.things:
            groups.setdefault(shape.group_id, []).append(index)
    for group, members in groups.items():
        labels = Counter(resolved.shapes[index].label for index in members)
        if len(labels) == 1:
            continue
        usual = labels.most_common(1)[0][0]
        odd = next(index for index in members if resolved.shapes[index].label != usual)
        first = next(index for index in members if resolved.shapes[index].label == usual)
        message = (
            f"group {group}: expected one label, found '{resolved.shapes[odd].label}' here and"
            f" '{usual}' at shapes[{first}]"
        )
        fix = "correct the label or the group_id"
        yield Complaint("group-labels", odd, message, fix, others=(first,))


def _distant_parts(
    resolved: ResolvedAnnotation, arrays: FigureArrays, row_of: dict[int, int], instance: Instance
) -> Iterator[Complaint]:
    """Report clusters of parts with a gap around them, except the cluster of the first part.

    Gaps are measured between the boxes, so they are never wider than the true gaps.
    """
    parts = [part for part in instance.parts if part in row_of]
    boxes = arrays.boxes[[row_of[part] for part in parts]].reshape(-1, 4)
    diagonal = float(np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T).max(initial=0))
    clusters = _clusters(boxes, resolved.limits.apart * diagonal)
    for cluster in clusters[1:]:
        rest = [i for i in range(len(parts)) if i not in cluster]
        gaps = [_gaps(boxes[i], boxes[rest]) for i in cluster]
        gap, nearest = min((g.min(), rest[int(g.argmin())]) for g in gaps)
        message = (
            f"group {resolved.shapes[parts[0]].group_id}: this part is {gap:.0f} px from the"
            f" nearest other part, shapes[{parts[nearest]}]; expected at most"
            f" {resolved.limits.apart:g} diagonals of the largest part,"
            f" {resolved.limits.apart * diagonal:.0f} px"
        )
        fix = "give the two things different group_ids"
        others = (parts[nearest],)
        yield Complaint("group-apart", parts[cluster[0]], message, fix, others=others)


def _clusters(boxes: Floats, reach: float) -> list[list[int]]:
    """Group the rows of boxes, (N, 4), that are at most `reach` pixels apart."""
    # scipy's connected_components gives the same clusters, but for the 2 to 4 parts that a thing
    # usually has, it takes 4 to 9 times as long; it is faster for 50
    left = set(range(len(boxes)))
    clusters = []
    while left:
        cluster = [min(left)]
        left -= {cluster[0]}
        for row in cluster:  # the list grows during the iteration
            rest = sorted(left)
            near = {rest[i] for i in np.flatnonzero(_gaps(boxes[row], boxes[rest]) <= reach)}
            cluster += sorted(near)
            left -= near
        clusters.append(sorted(cluster))
    return clusters


def _gaps(box: Floats, boxes: Floats) -> Floats:
    """Return the distances in pixels from one xyxy box to others, (N, 4)."""
    boxes = boxes.reshape(-1, 4)
    sides = np.maximum(np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]), 0)
    return np.asarray(np.hypot(sides[:, 0], sides[:, 1]))


def _hole_complaints(
    resolved: ResolvedAnnotation, arrays: FigureArrays, row_of: dict[int, int], holes: list[int]
) -> Iterator[Complaint]:
    """Report holes that cut nothing, or are partly outside the shapes that they cut."""
    cut: dict[int, list[int]] = {}
    for instance in (*resolved.instances, *find_stuff(resolved.shapes, resolved.config)):
        for hole in instance.holes:
            cut.setdefault(hole, []).extend(instance.parts)
    groups: dict[int, list[int]] = {}
    for hole in holes:
        shape = resolved.shapes[hole]
        if shape.group_id is None:
            message = f"a '{shape.label}' needs the group_id of the shape that it cuts, found none"
            yield Complaint("hole-alone", hole, message, "give both the same group_id")
        elif hole not in cut:
            message = f"group {shape.group_id} has no shape for the hole to cut"
            yield Complaint("hole-alone", hole, message, "correct the group_id, or delete the hole")
        elif hole in row_of and arrays.areas[row_of[hole]] > 0:  # otherwise reported as zero-area
            groups.setdefault(shape.group_id, []).append(hole)
    for group, members in groups.items():
        parts = [row_of[part] for part in cut[members[0]] if part in row_of]
        yield from _outside(resolved, arrays, group, [row_of[hole] for hole in members], parts)


def _outside(
    resolved: ResolvedAnnotation,
    arrays: FigureArrays,
    group: int,
    holes: list[int],
    parts: list[int],
) -> Iterator[Complaint]:
    """Report holes (rows of `arrays`) that are partly or wholly outside their group's parts."""
    if not arrays.areas[parts].any():
        return
    limit = resolved.limits.hole_outside_share
    whole = as_array([union(arrays.figures[parts])] * len(holes))
    inside = shapely.area(intersections(arrays.figures[holes], whole))
    for hole, share in zip(holes, (1 - inside / arrays.areas[holes]).tolist(), strict=True):
        if share > limit:
            message = (
                f"{share:.0%} of this hole lies outside the shapes of group {group},"
                f" expected at most {limit:.0%}"
            )
            fix = "draw the hole inside the thing that it cuts"
            yield Complaint("hole-outside", int(arrays.index[hole]), message, fix)
