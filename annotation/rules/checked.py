"""The results of checking a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from annotation.dataset import Dataset
from annotation.findings import Complaint, Finding
from annotation.photos.files import Size
from annotation.rules.statistics import Statistics

Pixels = Literal["decode", "known"]
"""How the rules about pixels are applied: to all photos, or only to those decoded earlier."""


@dataclass(frozen=True, slots=True)
class CheckedAnnotation:
    """One annotation file after its check.

    `usable` is True if its photo is readable, it has no errors, and no earlier annotation has the
    same photo. `photo` is None if it was not found, `size` is None if it is unknown. `excluded` is
    True if the photo has the flag `exclude` or `proposed`, or if `curation.yaml` excludes it.
    `embeds` is True if the file has a copy of its photo as imageData. `counts` are the numbers of
    instances of the set's things. `alone` is True if the result depends only on the annotation and
    its photo.
    """

    path: Path
    photo: Path | None
    size: Size | None
    usable: bool
    excluded: bool = False
    embeds: bool = False
    counts: tuple[int, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A checked annotation file with everything that was found in it.

    `statistics` is None if the file cannot be read. `digest` and `photo_digest` are the SHA-256 of
    the annotation and its photo, or empty if they cannot be read. If only errors were checked,
    `findings` and `statistics` may be incomplete.
    """

    annotation: CheckedAnnotation
    findings: tuple[Finding, ...] = ()
    statistics: Statistics | None = None
    digest: bytes = b""
    photo_digest: bytes = b""


@dataclass(frozen=True)
class Checked:
    """A checked set: its annotations in the order of their paths, and all findings."""

    annotations: tuple[CheckedAnnotation, ...]
    findings: tuple[Finding, ...]


class SetRule(Protocol):
    """A rule about the whole set; its complaints are about dataset.yaml."""

    def __call__(
        self, dataset: Dataset, annotations: Sequence[CheckedAnnotation]
    ) -> Iterable[Complaint]: ...
