"""Turning complaints of the rules into findings, with the severities and waivers of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import RULES, Complaint, Finding
from annotation.labelme.annotation import Annotation
from base.naming import printable

CHECKED = "checked"  # the flag with which a person confirms that a shape is correct
_LONGEST = 500  # characters of a message; a label may have millions


def judge(
    dataset: Dataset,
    path: Path,
    complaints: Iterable[Complaint],
    annotation: Annotation | None = None,
) -> Iterator[Finding]:
    """Turn complaints into findings with the severities of the set; omit those that are waived.

    The flag `checked` waives the warnings and notes of a shape, but not its errors.
    """
    for c in complaints:
        severity = dataset.config.severity.get(c.rule, c.severity or RULES[c.rule])
        if severity == "ignore":
            continue
        shape = None if annotation is None or c.shape is None else annotation.shapes[c.shape]
        if shape is None or severity == "error" or not shape.flags.get(CHECKED):
            file, message = dataset.relative(path), _shown(c.message)
            yield Finding(
                c.rule, severity, file, c.shape, message, c.fix, c.others, c.place, c.twin
            )


def _shown(message: str) -> str:
    """Shorten a message and make it printable, because labels may contain any character."""
    short = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
    return short if short.isprintable() else printable(short)
