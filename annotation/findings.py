"""The findings that validation reports, and the rules that can report them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]

RULES: dict[str, Severity] = {
    # the file
    "file-unreadable": "error",
    "file-not-json": "error",
    "file-not-labelme": "error",
    "file-encoding": "warning",
    "file-duplicate-keys": "warning",
    "annotation-orphan": "error",
    "annotation-duplicate": "error",
    "annotation-empty": "warning",
    "photo-orphan": "note",
    # the photo
    "photo-missing": "error",
    "photo-path": "note",
    "photo-path-leaves": "warning",
    "photo-unreadable": "error",
    "photo-truncated": "error",
    "photo-size": "error",
    "photo-rotation": "error",
    "photo-depth": "note",
    "photo-embedded": "warning",
    "photo-duplicate": "warning",
    "photo-near-duplicate": "note",
    # one shape
    "shape-unreadable": "error",
    "shape-ignored": "note",
    "mask-box": "error",
    "points-few": "error",
    "points-not-finite": "error",
    "points-repeated": "note",
    "zero-area": "error",
    "tiny": "warning",
    "self-crossing": "warning",
    "out-of-picture": "warning",
    "outside-picture": "error",
    "whole-picture": "warning",
    "spike": "warning",
    # several shapes
    "shape-duplicate": "warning",
    "shape-near-duplicate": "warning",
    "thing-hidden": "warning",
    "same-label-overlap": "warning",
    "group-apart": "warning",
    "group-labels": "warning",
    "hole-outside": "warning",
    "hole-alone": "error",
    # labels, groups and flags
    "label-unknown": "error",
    "label-typo": "error",
    "shape-proposed": "error",
    "photo-proposed": "error",
    "label-unused": "note",
    "group-not-allowed": "warning",
    "flag-unknown": "warning",
    # the set
    "category-few": "warning",
    "category-imbalance": "note",
    "size-outlier": "note",
    "aspect-outlier": "note",
    "category-one-split": "warning",
    "split-leak": "warning",
    # stuff
    "stuff-source": "error",
    "map-ambiguous": "error",
    "map-unmatched": "warning",
}


@dataclass(frozen=True)
class Finding:
    """One problem that validation reports.

    `file` is relative to the data set; `shape` and `others` are indices into the annotation's
    shapes: the shape that has the problem, and the other shapes that the problem involves. `place`
    is x, y in pixels of the photo. `twin` is the name below `images/` of the photo that `file`
    repeats.

    error: the photo cannot be converted; warning: probably wrong; note: worth knowing.
    """

    rule: str
    severity: Severity
    file: str
    shape: int | None
    message: str
    fix: str
    others: tuple[int, ...] = ()
    place: tuple[float, float] | None = None
    twin: str | None = None


@dataclass(frozen=True)
class Complaint:
    """What a rule reports about one file, before the set's severities and waivers are applied.

    The fields are those of a Finding. `severity` replaces that of the rule in RULES for a case that
    matters less; a severity in `dataset.yaml` takes precedence.
    """

    rule: str
    shape: int | None
    message: str
    fix: str = ""
    others: tuple[int, ...] = ()
    place: tuple[float, float] | None = None
    severity: Severity | None = None
    twin: str | None = None
