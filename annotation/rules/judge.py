"""From what rules say to what validation reports: the set's severities, and what is waived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import RULES, Complaint, Finding
from annotation.labelme.annotation import Annotation
from base.naming import printable

CHECKED = "checked"  # the flag with which a person says: I looked, this shape is right
_LONGEST = 500  # characters of a message; a label may have millions


def judge(
    dataset: Dataset,
    path: Path,
    complaints: Iterable[Complaint],
    annotation: Annotation | None = None,
) -> Iterator[Finding]:
    """Complaints as findings: with the set's severities, without what is waived.

    A shape with the flag `checked` has no warnings and notes; errors stay.
    """
    for c in complaints:
        severity = dataset.config.severity.get(c.rule, RULES[c.rule])
        if severity == "ignore":
            continue
        shape = None if annotation is None or c.shape is None else annotation.shapes[c.shape]
        if shape is None or severity == "error" or not shape.flags.get(CHECKED):
            file, message = dataset.relative(path), _shown(c.message)
            yield Finding(c.rule, severity, file, c.shape, message, c.fix)


def _shown(message: str) -> str:
    """A message that every terminal and file can hold, whatever the labels in it are."""
    short = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
    return short if short.isprintable() else printable(short)
