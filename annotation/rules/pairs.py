"""Shapes of one photo together: duplicates, overlaps, groups and holes."""

from __future__ import annotations

from collections.abc import Iterator

from annotation.drawing import Drawing
from annotation.findings import Complaint


def pair_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """What is wrong between the shapes of one photo."""
    yield from ()
