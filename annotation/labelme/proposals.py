"""Proposals: shapes and annotations that a model drew; they count only if a person accepts them.

The label of a proposed shape, or of a mark at a place to look at, begins with PROPOSAL. A person
accepts a shape by giving it a label of the data set. An annotation of which all shapes are proposed
has the flag PROPOSED, which the person removes. Neither becomes part of the data set: validation
reports an error, the conversion does not paint them, and `relabel` removes what was not accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from annotation.dataset import PROPOSAL
from annotation.labelme.annotation import Annotation, Shape

PROPOSED = "proposed"  # flag of a photo


def proposed(shape: Shape) -> Shape:
    """Return a shape as a proposal."""
    return replace(shape, label=f"{PROPOSAL}{shape.label}")


def mark(xywh: tuple[float, float, float, float], text: str) -> Shape:
    """Return a rectangle that shows a person where to look; `text` says why."""
    x, y, width, height = xywh
    corners = ((x, y), (x + width, y + height))
    return Shape(f"{PROPOSAL}{text}", corners, "rectangle", description=text)


def is_proposed(shape: Shape) -> bool:
    """Return whether a shape is a proposal, or a mark, that was not accepted."""
    return shape.label.startswith(PROPOSAL)


def without_proposals(annotation: Annotation) -> Annotation:
    """Return an annotation without the shapes that were not accepted."""
    kept = tuple(shape for shape in annotation.shapes if not is_proposed(shape))
    return replace(annotation, shapes=kept)


def with_proposals(annotation: Annotation, added: Iterable[Shape]) -> Annotation:
    """Return an annotation with more shapes: marks below the others, proposals above them.

    Labelme lists marks first then, and a click inside a mark selects the shape that is there. Group
    ids of the annotation, as those of proposals that were accepted earlier, are not used again.
    """
    shapes = _in_other_groups(tuple(added), annotation.shapes)
    marks = tuple(shape for shape in shapes if shape.shape_type == "rectangle")
    others = tuple(shape for shape in shapes if shape.shape_type != "rectangle")
    return replace(annotation, shapes=(*marks, *annotation.shapes, *others))


def _in_other_groups(added: tuple[Shape, ...], present: Iterable[Shape]) -> tuple[Shape, ...]:
    """Return shapes with group ids above those of the shapes that are present."""
    used = [shape.group_id for shape in present if shape.group_id is not None]
    groups = [shape.group_id for shape in added if shape.group_id is not None]
    if not used or not groups:
        return added
    more = max(0, 1 + max(used) - min(groups))
    return tuple(
        shape if shape.group_id is None else replace(shape, group_id=shape.group_id + more)
        for shape in added
    )
