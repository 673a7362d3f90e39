"""Shapes of one photo together: duplicates, overlaps and things that nothing shows of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from annotation.findings import Complaint
from annotation.rules.drawing import Drawing
from annotation.rules.groups import group_complaints
from annotation.rules.measures import Floats, Measured, common, less, measure, together
from annotation.rules.painted import Painted, Pairs, meet, paint

Chosen = NDArray[np.bool_]
_RULES = ("shape-duplicate", "shape-near-duplicate", "thing-hidden", "same-label-overlap")


def pair_complaints(drawing: Drawing, *, errors_only: bool = False) -> Iterator[Complaint]:
    """What is wrong between the shapes of one photo; or only what can be an error, and more."""
    grouped = any(s.group_id is not None or s.label in drawing.config.holes for s in drawing.shapes)
    meeting = not errors_only or drawing.config.has_error(*_RULES)
    if not grouped and not meeting:
        return
    measured = measure(drawing)
    if grouped:
        yield from group_complaints(drawing, measured)
    if len(measured.index) < 2 or not meeting:
        return
    copies = _copies(drawing, measured)
    yield from map(_copy, copies.items())
    painted = paint(drawing, measured, copies)
    yield from _meeting(drawing, painted)


def _copies(drawing: Drawing, measured: Measured) -> dict[int, int]:
    """Shapes that are the same as an earlier one, and which; boxes tell most of them apart."""
    seen: dict[object, list[int]] = {}
    boxes = measured.boxes.tolist()
    for row in np.flatnonzero(measured.areas).tolist():
        index = int(measured.index[row])
        shape = drawing.shapes[index]
        # one hole may be drawn twice, to cut the things of two groups
        group = shape.group_id if shape.label in drawing.config.holes else None
        seen.setdefault((shape.label, group, *boxes[row]), []).append(index)
    copies: dict[int, int] = {}
    for alike in seen.values():
        first: dict[bytes, int] = {}
        for index in alike if len(alike) > 1 else ():
            # start vertex and direction do not count
            outline = bytes(shapely.to_wkb(shapely.normalize(drawing.figures[index])) or b"")
            if (earlier := first.setdefault(outline, index)) != index:
                copies[index] = earlier
    return copies


def _copy(pair: tuple[int, int]) -> Complaint:
    message = f"is the same as shapes[{pair[1]}]: expected one shape of this label and outline"
    return Complaint("shape-duplicate", pair[0], message, "delete one of the two")


def _meeting(drawing: Drawing, painted: Painted) -> Iterator[Complaint]:
    """Near duplicates first, then what they don't explain: hidden things, then overlaps."""
    pairs = meet(painted)
    if not len(pairs.early) and painted.areas.all():
        return
    sums = painted.areas[pairs.early] + painted.areas[pairs.late]
    similar = pairs.most >= drawing.limits.near_iou * (sums - pairs.most)
    alike = _one_label(drawing, painted, pairs)
    shared = np.zeros(len(pairs.most))
    asked = np.flatnonzero(similar | alike)
    if len(asked):
        early, late = pairs.early[asked], pairs.late[asked]
        shared[asked] = shapely.area(common(painted.figures[early], painted.figures[late]))
    iou = shared / np.maximum(sums - shared, 1e-9)
    near = similar & (iou >= drawing.limits.near_iou)
    yield from _near_duplicates(drawing, painted, pairs.only(near), iou[near])
    hidden = dict(_hidden(drawing, painted, pairs.only(~near)))
    yield from hidden.values()
    alike &= ~near & ~np.isin(painted.owner[pairs.early], list(hidden))
    yield from _overlaps(drawing, painted, pairs.only(alike), shared[alike])


def _one_label(drawing: Drawing, painted: Painted, pairs: Pairs) -> Chosen:
    """Pairs of two things of one label that may overlap too much.

    A crowd may hold things drawn one by one, and who flags a thing as occluded has seen what lies
    over it.
    """
    instances = drawing.instances
    labels = {instance.label: number for number, instance in enumerate(instances)}
    label = np.array([labels[instance.label] for instance in instances])
    free = [instance.ignored or "crowd" in instance.flags for instance in instances]
    occluded = ["occluded" in instance.flags for instance in instances]
    parts = np.array([len(instance.parts) for instance in instances])
    early, late = painted.owner[pairs.early], painted.owner[pairs.late]
    counted = ~(np.array(free)[early] | np.array(free)[late] | np.array(occluded)[early])
    areas = np.bincount(painted.owner, painted.areas, len(instances))
    least = drawing.limits.overlap_share * np.minimum(areas[early], areas[late])
    enough = pairs.most * parts[early] * parts[late] >= least
    return np.asarray((label[early] == label[late]) & (early != late) & counted & enough)


def _near_duplicates(
    drawing: Drawing, painted: Painted, pairs: Pairs, iou: Floats
) -> Iterator[Complaint]:
    """One complaint a later shape, about the earlier one that it is most like."""
    done = set()
    for i in np.lexsort((pairs.early, -iou)).tolist():
        early, late = int(painted.shape[pairs.early[i]]), int(painted.shape[pairs.late[i]])
        if late in done:
            continue
        done.add(late)
        first, second = drawing.shapes[early].label, drawing.shapes[late].label
        labels = f"both '{first}'" if first == second else f"'{second}' here, '{first}' there"
        message = (
            f"covers nearly the same as shapes[{early}] ({labels}): IoU {iou[i]:.2f},"
            f" expected less than {drawing.limits.near_iou:g}"
        )
        yield Complaint("shape-near-duplicate", late, message, "delete one of the two")


def _hidden(drawing: Drawing, painted: Painted, pairs: Pairs) -> Iterator[tuple[int, Complaint]]:
    """Instances of which shapes drawn later, or their own holes, leave nothing to see."""
    foreign = pairs.only(painted.owner[pairs.early] != painted.owner[pairs.late])
    count = len(drawing.instances)
    room = np.bincount(foreign.early, foreign.most, len(painted.owner))
    most = np.bincount(painted.owner, np.minimum(room, painted.areas), count)
    areas = np.bincount(painted.owner, painted.areas, count)
    present = np.bincount(painted.owner, minlength=count) > 0
    suspect = present & (most >= drawing.limits.hidden_share * areas)
    for owner in np.flatnonzero(suspect).tolist():
        instance, shape = drawing.instances[owner], drawing.instances[owner].parts[0]
        if instance.ignored:
            continue
        if areas[owner] == 0:
            message = f"the holes of group {drawing.shapes[shape].group_id} leave nothing of it"
            yield owner, Complaint("thing-hidden", shape, message, "make the hole smaller")
            continue
        visible, covers = _visible(painted, foreign, owner)
        share = 1 - visible / areas[owner]
        if share >= drawing.limits.hidden_share:
            names = ", ".join(f"shapes[{i}] '{drawing.shapes[i].label}'" for i in covers[:3])
            message = f"{share:.1%} of this '{instance.label}' lies under {names}, drawn later"
            fix = "drag it below them in Labelme's list, so that it is painted last, or delete it"
            yield owner, Complaint("thing-hidden", shape, message, fix)


def _visible(painted: Painted, pairs: Pairs, owner: int) -> tuple[float, list[int]]:
    """Square pixels of an instance that later shapes leave, and those shapes, largest first."""
    visible, largest = 0.0, {}
    for row in np.flatnonzero(painted.owner == owner).tolist():
        over = pairs.only(pairs.early == row)
        covers = over.late[np.argsort(-over.most, kind="stable")]
        visible += less(painted.figures[row], together(painted.figures[covers])).area
        largest.update(dict.fromkeys(painted.shape[covers].tolist()))
    return visible, list(largest)


def _overlaps(
    drawing: Drawing, painted: Painted, pairs: Pairs, shared: Floats
) -> Iterator[Complaint]:
    """One complaint a later thing, about the one of its label that it overlaps most."""
    areas = np.bincount(painted.owner, painted.areas, len(drawing.instances))
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
        if share[first, second] >= drawing.limits.overlap_share and second not in done:
            done.add(second)
            other, shape = (drawing.instances[i].parts[0] for i in (first, second))
            smaller = "it" if areas[second] <= areas[first] else f"shapes[{other}]"
            message = (
                f"overlaps shapes[{other}] of the same label '{drawing.shapes[shape].label}':"
                f" {share[first, second]:.0%} of {smaller} is common,"
                f" expected less than {drawing.limits.overlap_share:.0%}"
            )
            fix = "draw them apart, give the parts of one thing one group_id, or delete one"
            yield Complaint("same-label-overlap", shape, message, fix)
