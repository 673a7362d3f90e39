"""Rules about several shapes of one photo: duplicates, overlaps and hidden things."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from annotation.findings import Complaint
from annotation.rules.figures import (
    FigureArrays,
    Floats,
    difference,
    figure_arrays,
    intersections,
    union,
)
from annotation.rules.groups import group_complaints
from annotation.rules.painted import PaintedParts, Pairs, overlapping_pairs, painted_parts
from annotation.rules.resolved import ResolvedAnnotation

Chosen = NDArray[np.bool_]
_RULES = ("shape-duplicate", "shape-near-duplicate", "thing-hidden", "same-label-overlap")


def pair_complaints(
    resolved: ResolvedAnnotation, *, errors_only: bool = False
) -> Iterator[Complaint]:
    """Check the shapes of one photo against each other.

    With `errors_only`, rules that report no errors in this set may be skipped.
    """
    grouped = any(
        s.group_id is not None or s.label in resolved.config.holes for s in resolved.shapes
    )
    overlaps = not errors_only or resolved.config.has_error(*_RULES)
    if not grouped and not overlaps:
        return
    arrays = figure_arrays(resolved)
    if grouped:
        yield from group_complaints(resolved, arrays)
    if len(arrays.index) < 2 or not overlaps:
        return
    copies = _copies(resolved, arrays)
    yield from map(_copy, copies.items())
    painted = painted_parts(resolved, arrays, copies)
    yield from _overlap_complaints(resolved, painted)


def _copies(resolved: ResolvedAnnotation, arrays: FigureArrays) -> dict[int, int]:
    """Return the index of the earlier shape for each shape that repeats it.

    Comparing the boxes first rules out most pairs.
    """
    seen: dict[object, list[int]] = {}
    boxes = arrays.boxes.tolist()
    for row in np.flatnonzero(arrays.areas).tolist():
        index = int(arrays.index[row])
        shape = resolved.shapes[index]
        # a hole may be drawn twice, to cut the things of two groups
        group = shape.group_id if shape.label in resolved.config.holes else None
        seen.setdefault((shape.label, group, *boxes[row]), []).append(index)
    copies: dict[int, int] = {}
    for alike in seen.values():
        first: dict[bytes, int] = {}
        for index in alike if len(alike) > 1 else ():
            # the start vertex and the direction do not matter
            outline = bytes(shapely.to_wkb(shapely.normalize(resolved.figures[index])) or b"")
            if (earlier := first.setdefault(outline, index)) != index:
                copies[index] = earlier
    return copies


def _copy(pair: tuple[int, int]) -> Complaint:
    message = f"is the same as shapes[{pair[1]}]: expected one shape with this label and outline"
    return Complaint("shape-duplicate", pair[0], message, "delete one of the two", others=pair[1:])


def _overlap_complaints(resolved: ResolvedAnnotation, painted: PaintedParts) -> Iterator[Complaint]:
    """Report near-duplicates, then the hidden things and overlaps that these do not explain."""
    pairs = overlapping_pairs(painted)
    if not len(pairs.early) and painted.areas.all():
        return
    sums = painted.areas[pairs.early] + painted.areas[pairs.late]
    similar = pairs.most >= resolved.limits.near_iou * (sums - pairs.most)
    alike = _one_label(resolved, painted, pairs)
    shared = np.zeros(len(pairs.most))
    chosen = np.flatnonzero(similar | alike)
    if len(chosen):
        early, late = pairs.early[chosen], pairs.late[chosen]
        shared[chosen] = shapely.area(intersections(painted.figures[early], painted.figures[late]))
    iou = shared / np.maximum(sums - shared, 1e-9)
    near = similar & (iou >= resolved.limits.near_iou)
    yield from _near_duplicates(resolved, painted, pairs.only(near), iou[near])
    hidden = dict(_hidden(resolved, painted, pairs.only(~near)))
    yield from hidden.values()
    alike &= ~near & ~np.isin(painted.owner[pairs.early], list(hidden))
    yield from _overlaps(resolved, painted, pairs.only(alike), shared[alike])


def _one_label(resolved: ResolvedAnnotation, painted: PaintedParts, pairs: Pairs) -> Chosen:
    """Return the pairs of two things with one label that may overlap too much.

    A crowd may contain things that are drawn individually. The flag `occluded` on a thing shows
    that the annotator has seen the overlap.
    """
    instances = resolved.instances
    labels = {instance.label: number for number, instance in enumerate(instances)}
    label = np.array([labels[instance.label] for instance in instances])
    exempt = [instance.ignored or "crowd" in instance.flags for instance in instances]
    occluded = ["occluded" in instance.flags for instance in instances]
    parts = np.array([len(instance.parts) for instance in instances])
    early, late = painted.owner[pairs.early], painted.owner[pairs.late]
    counted = ~(np.array(exempt)[early] | np.array(exempt)[late] | np.array(occluded)[early])
    areas = np.bincount(painted.owner, painted.areas, len(instances))
    least = resolved.limits.overlap_share * np.minimum(areas[early], areas[late])
    enough = pairs.most * parts[early] * parts[late] >= least
    return np.asarray((label[early] == label[late]) & (early != late) & counted & enough)


def _near_duplicates(
    resolved: ResolvedAnnotation, painted: PaintedParts, pairs: Pairs, iou: Floats
) -> Iterator[Complaint]:
    """Report each later shape once, with the earlier one that is most similar."""
    done = set()
    for i in np.lexsort((pairs.early, -iou)).tolist():
        early, late = int(painted.shape[pairs.early[i]]), int(painted.shape[pairs.late[i]])
        if late in done:
            continue
        done.add(late)
        first, second = resolved.shapes[early].label, resolved.shapes[late].label
        labels = f"both '{first}'" if first == second else f"'{second}' here, '{first}' there"
        message = (
            f"covers nearly the same area as shapes[{early}] ({labels}): IoU {iou[i]:.2f},"
            f" expected less than {resolved.limits.near_iou:g}"
        )
        fix = "delete one of the two"
        yield Complaint("shape-near-duplicate", late, message, fix, others=(early,))


def _hidden(
    resolved: ResolvedAnnotation, painted: PaintedParts, pairs: Pairs
) -> Iterator[tuple[int, Complaint]]:
    """Yield the instances that later shapes or their own holes hide, and the complaints."""
    foreign = pairs.only(painted.owner[pairs.early] != painted.owner[pairs.late])
    count = len(resolved.instances)
    covered = np.bincount(foreign.early, foreign.most, len(painted.owner))
    most = np.bincount(painted.owner, np.minimum(covered, painted.areas), count)
    areas = np.bincount(painted.owner, painted.areas, count)
    present = np.bincount(painted.owner, minlength=count) > 0
    suspect = present & (most >= resolved.limits.hidden_share * areas)
    for owner in np.flatnonzero(suspect).tolist():
        instance, shape = resolved.instances[owner], resolved.instances[owner].parts[0]
        if instance.ignored:
            continue
        if areas[owner] == 0:
            message = f"the holes of group {resolved.shapes[shape].group_id} cover it completely"
            yield owner, Complaint("thing-hidden", shape, message, "make the hole smaller")
            continue
        visible, covers = _visible(painted, foreign, owner)
        share = 1 - visible / areas[owner]
        if share >= resolved.limits.hidden_share:
            others = tuple(covers[:3])
            names = ", ".join(f"shapes[{i}] '{resolved.shapes[i].label}'" for i in others)
            message = f"{share:.1%} of this '{instance.label}' is hidden by {names}, drawn later"
            fix = "move it below them in Labelme's list, so that it is painted last, or delete it"
            yield owner, Complaint("thing-hidden", shape, message, fix, others=others)


def _visible(painted: PaintedParts, pairs: Pairs, owner: int) -> tuple[float, list[int]]:
    """Return the visible square pixels of an instance, and the later shapes that cover it.

    The shapes with the largest overlap come first.
    """
    visible, largest = 0.0, {}
    for row in np.flatnonzero(painted.owner == owner).tolist():
        over = pairs.only(pairs.early == row)
        covers = over.late[np.argsort(-over.most, kind="stable")]
        visible += difference(painted.figures[row], union(painted.figures[covers])).area
        largest.update(dict.fromkeys(painted.shape[covers].tolist()))
    return visible, list(largest)


def _overlaps(
    resolved: ResolvedAnnotation, painted: PaintedParts, pairs: Pairs, shared: Floats
) -> Iterator[Complaint]:
    """Report each later thing once, with the thing of the same label that it overlaps most."""
    areas = np.bincount(painted.owner, painted.areas, len(resolved.instances))
    total: dict[tuple[int, int], float] = {}
    for early, late, area in zip(
        painted.owner[pairs.early].tolist(),
        painted.owner[pairs.late].tolist(),
        shared.tolist(),
        strict=True,
    ):
        both = (min(early, late), max(early, late))
        total[both] = total.get(both, 0) + area
    share = {both: area / min(areas[list(both)]) for both, area in total.items()}
    done = set()
    for first, second in sorted(share, key=lambda both: (-share[both], both)):
        if share[first, second] >= resolved.limits.overlap_share and second not in done:
            done.add(second)
            other, shape = (resolved.instances[i].parts[0] for i in (first, second))
            smaller = "it" if areas[second] <= areas[first] else f"shapes[{other}]"
            message = (
                f"overlaps shapes[{other}] with the same label '{resolved.shapes[shape].label}':"
                f" {share[first, second]:.0%} of {smaller} is shared,"
                f" expected less than {resolved.limits.overlap_share:.0%}"
            )
            fix = "draw them apart, give parts of one thing the same group_id, or delete one"
            yield Complaint("same-label-overlap", shape, message, fix, others=(other,))
