"""Labels, groups and flags against what the set allows."""

from __future__ import annotations

from collections.abc import Iterator

from annotation.drawing import Drawing
from annotation.files import nearest
from annotation.findings import Complaint


def label_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """Labels that the set does not know."""
    for index, shape in enumerate(drawing.shapes):
        if shape.label not in drawing.config.labels and shape.problem is None:
            hint = nearest(shape.label, drawing.config.things)
            message = f"label '{shape.label}' is unknown{hint}"
            fix = "correct the label, or add it to things"
            yield Complaint("label-unknown", index, message, fix)
