"""Checking a whole data set with all rules."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Complaint, Finding
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.groups import group_file, read_photo_groups
from annotation.photos.listing import Paths
from annotation.rules.alike import ComparedPhoto, alike_complaints
from annotation.rules.cache import Cache, open_cache
from annotation.rules.cached import CachedChecks, CachedInspections
from annotation.rules.checked import Checked, CheckedAnnotation, CheckedFile, Pixels, SetRule
from annotation.rules.files import unsupported
from annotation.rules.judge import judge
from annotation.rules.pixels import InspectionTask, PhotoInspection, inspection_complaints
from annotation.rules.sets import Tally
from base.errors import InputError
from base.progress import track


def check_dataset(
    dataset: Dataset, *, pixels: Pixels = "known", set_rules: Sequence[SetRule] = ()
) -> Checked:
    """Check every Labelme file of a set, and the set as a whole.

    Only files that have changed since the last check are read; the findings of the others come from
    the cache of the set. With `pixels="decode"`, photos are decoded, on all cores; otherwise, what
    earlier checks found in their pixels is included. `set_rules` are applied last, in addition to
    the rules of this package.

    Raises InputError as `annotation_paths` does, or if a set rule raises it.
    """
    paths = annotation_paths(dataset)
    index = PhotoIndex(dataset, dataset.photos())
    with open_cache(dataset) as cache, warnings.catch_warnings(action="ignore"):
        survey = _Survey(dataset, index)  # Pillow warns about unusual metadata
        checks = CachedChecks(dataset, index, cache)
        for path in track(paths, "validate"):
            survey.add(checks.check(path))
        survey.check_set()
        survey.check_photos(cache, decode=pixels == "decode")
        survey.apply(set_rules)
    return Checked(tuple(survey.annotations), tuple(sorted(survey.findings, key=_place)))


def annotation_paths(dataset: Dataset) -> Paths:
    """List the Labelme files of a set.

    Raises InputError if it has none, unless its photos have stuff from other sources.
    """
    paths = dataset.annotations()
    if not paths and not dataset.has_only_maps():
        raise InputError(f"{dataset.labelme}: no Labelme files; draw some with `annotate`")
    return paths


def _place(finding: Finding) -> tuple[bool, bool, str]:
    """Sort annotations first, then photos, then the set."""
    return finding.file == "dataset.yaml", not finding.file.lower().endswith(".json"), finding.file


class _Survey:
    """Collects the results of single files and applies the rules about several files."""

    def __init__(self, dataset: Dataset, index: PhotoIndex) -> None:
        self.annotations: list[CheckedAnnotation] = []
        self.findings: list[Finding] = []
        self._dataset, self._index = dataset, index
        self._tally = Tally(dataset.config)
        self._counts: dict[tuple[int, ...], tuple[int, ...]] = {}  # to share equal tuples
        self._first_of: dict[Path, int] = {}  # by photo: its first annotation
        self._digests: dict[int, bytes] = {}  # of annotations that embed their photo

    def add(self, one: CheckedFile) -> None:
        """Add one checked annotation file."""
        counts = self._counts.setdefault(one.annotation.counts, one.annotation.counts)
        checked, number = replace(one.annotation, counts=counts), len(self.annotations)
        self.findings += one.findings
        photo = checked.photo
        first = number if photo is None else self._first_of.setdefault(photo, number)
        if first != number:
            other = self._dataset.relative(self.annotations[first].path)
            message = f"annotates the same photo as {other}"
            complaint = Complaint("annotation-duplicate", None, message, "delete one of the two")
            self._report([(checked.path, complaint)])
            # with any severity of the rule: only one annotation of a photo can be converted
            checked = replace(checked, usable=False)
        elif one.statistics is not None and not checked.excluded:
            self._tally.add(number, one.statistics)
        if checked.embeds:
            self._digests[number] = one.digest
        self.annotations.append(checked)

    def _report(self, complaints: Iterable[tuple[Path, Complaint]]) -> set[Path]:
        """Add the findings about these files; return the files with errors."""
        wrong = set()
        for path, complaint in complaints:
            for finding in judge(self._dataset, path, [complaint]):
                self.findings.append(finding)
                wrong |= {path} if finding.severity == "error" else set()
        return wrong

    def check_set(self) -> None:
        """Apply the rules about the set, after all files have been added."""
        config = self._dataset.root / "dataset.yaml"
        if self.annotations:  # otherwise, conversion uses the photos without Labelme files
            self._report(_photo_orphans(self._index, self.annotations))
        self._report((config, complaint) for complaint in self._tally.complaints())
        self._report((self.annotations[n].path, c) for n, c in self._tally.outliers())

    def apply(self, rules: Iterable[SetRule]) -> None:
        """Apply more rules about the set."""
        config = self._dataset.root / "dataset.yaml"
        for rule in rules:
            self._report((config, complaint) for complaint in rule(self._dataset, self.annotations))

    def check_photos(self, cache: Cache, *, decode: bool) -> None:
        """Apply the rules about pixels; annotations with an incomplete photo are not usable.

        If a photo has several annotations, the findings are reported at the first. The others are
        not usable in any case.
        """
        tasks = list(self._inspection_tasks(cache))
        results = list(CachedInspections(cache).inspect(tasks, decode=decode))
        wrong = self._report(self._pixel_complaints(tasks, results))
        self.annotations = [
            replace(one, usable=one.usable and one.path not in wrong) for one in self.annotations
        ]
        compared = [
            _compared(self._dataset, task, result)
            for task, result in zip(tasks, results, strict=True)
        ]
        comparable = decode or any(one.likeness is not None for one in compared)
        groups = _groups(self._dataset) if comparable else {}
        distance = self._dataset.config.limits.near_photo
        alike = alike_complaints(compared, groups, distance)
        self._report((tasks[n].photo, complaint) for n, complaint in alike)

    def _inspection_tasks(self, cache: Cache) -> Iterator[InspectionTask]:
        for photo in self._index.photos:
            try:
                digest = cache.digest(photo)
            except OSError:
                digest = b""
            number = self._first_of.get(photo)
            if number is not None and number in self._digests:
                path = self.annotations[number].path
                yield InspectionTask(photo, digest, path, self._digests[number])
            else:
                yield InspectionTask(photo, digest)

    def _pixel_complaints(
        self, tasks: Iterable[InspectionTask], results: Iterable[PhotoInspection | None]
    ) -> Iterator[tuple[Path, Complaint]]:
        """Report photos at their annotation if they have one."""
        for task, result in zip(tasks, results, strict=True):
            if result is not None:
                number = self._first_of.get(task.photo)
                path = task.photo if number is None else self.annotations[number].path
                annotated = number is not None
                for complaint in inspection_complaints(task.photo, result, annotated=annotated):
                    yield path, complaint


def _compared(
    dataset: Dataset, task: InspectionTask, result: PhotoInspection | None
) -> ComparedPhoto:
    name = task.photo.relative_to(dataset.images).as_posix()
    if result is None or result.photo.problem == "unreadable":
        return ComparedPhoto(name)
    return ComparedPhoto(name, task.digest or None, result.photo.likeness)


def _groups(dataset: Dataset) -> dict[str, str]:
    """Return the groups of photos from the file of the split, or else from photos.csv."""
    path = group_file(dataset.root, dataset.config.group_by) or dataset.root / "photos.csv"
    used = dataset.config.group_by is not None
    return read_photo_groups(path) if used or os.path.lexists(path) else {}


def _photo_orphans(
    index: PhotoIndex, annotations: Sequence[CheckedAnnotation]
) -> Iterator[tuple[Path, Complaint]]:
    """Report photos without an annotation, unless an annotation without a photo has their name."""
    annotated = {one.photo for one in annotations}
    unreadable = {one.path.stem for one in annotations if one.photo is None}
    for photo in index.photos:
        if photo not in annotated and photo.stem not in unreadable:
            message = "has no Labelme file and is left out"
            yield photo, Complaint("photo-orphan", None, message, "annotate it, or ignore this")
    for picture in index.unsupported:
        if picture.stem not in unreadable:  # otherwise reported at its annotation
            one = unsupported(picture)
            yield (
                picture,
                replace(one, rule="photo-orphan", message=f"{one.message}; it is left out"),
            )
