"""Checks of Labelme files: everything that is wrong with a set, at once."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Complaint, Finding
from annotation.labelme.annotation import Annotation, NotReadableError, read_annotation
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.files import Header, Size
from annotation.photos.groups import group_file, read_photo_groups
from annotation.rules.alike import alike_complaints
from annotation.rules.drawing import Drawing, draw
from annotation.rules.files import (
    embedded_complaints,
    file_complaints,
    header_of,
    photo_complaints,
    size_complaints,
    stored_size,
)
from annotation.rules.judge import judge
from annotation.rules.labels import label_complaints
from annotation.rules.pairs import pair_complaints
from annotation.rules.pixels import look, make_tasks
from annotation.rules.sets import Tally
from annotation.rules.shapes import shape_complaints
from base.errors import InputError
from base.progress import track
from base.workers import in_processes


@dataclass(frozen=True, slots=True)
class Record:
    """One Labelme file after its check; `usable` where no finding is an error."""

    path: Path
    photo: Path | None
    size: Size | None
    usable: bool
    excluded: bool = False  # by its photo flag `exclude`
    embeds: bool = False  # a copy of its photo, as imageData
    counts: tuple[int, ...] = ()  # instances of each of the set's things; equal ones are shared
    alone: bool = False  # no other file had a part in its check


@dataclass(frozen=True)
class Checked:
    """A checked set: its annotation files in the order of their paths, and all findings."""

    records: tuple[Record, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CheckedFile:
    """One file's record with what the rules said; `drawing` is None where it is unreadable."""

    record: Record
    drawing: Drawing | None
    findings: tuple[Finding, ...]


def check_dataset(dataset: Dataset, *, pixels: bool = False) -> Checked:
    """Read and check every Labelme file of a set; InputError where there is none.

    With `pixels`, every photo is decoded as well, in all cores.
    """
    paths = dataset.annotations()
    if not paths:
        raise InputError(f"{dataset.labelme}: no Labelme files; draw some with `annotate`")
    survey = _Survey(dataset, PhotoIndex(dataset, dataset.photos()))
    with warnings.catch_warnings(action="ignore"):  # Pillow warns of odd metadata
        for path in track(paths, "validate"):
            survey.add(path)
        survey.close()
        if pixels:
            survey.look_at_photos()
    return Checked(tuple(survey.records), tuple(sorted(survey.findings, key=_place)))


def check_records(
    dataset: Dataset, index: PhotoIndex, kept: Callable[[Path], Record | None]
) -> Iterator[Record]:
    """The record of each annotation by itself; those that `kept` gives are not read again.

    Only errors are looked for: nothing else decides which photos can be used. Raises InputError
    where there is no annotation.
    """
    paths = dataset.annotations()
    if not paths:
        raise InputError(f"{dataset.labelme}: no Labelme files; draw some with `annotate`")
    with warnings.catch_warnings(action="ignore"):
        for path in track(paths, "read"):
            yield kept(path) or check_annotation(dataset, index, path, errors_only=True).record


def _place(finding: Finding) -> tuple[bool, bool, str]:
    """Annotations first, then photos, then the set."""
    return finding.file == "dataset.yaml", not finding.file.lower().endswith(".json"), finding.file


class _Survey:
    """A set on its way through the rules; nothing of a file stays but its record and findings."""

    def __init__(self, dataset: Dataset, index: PhotoIndex) -> None:
        self.records: list[Record] = []
        self.findings: list[Finding] = []
        self._dataset, self._index = dataset, index
        self._tally = Tally(dataset.config)
        self._counts: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._first_of: dict[Path, int] = {}  # by photo: its first record

    def add(self, path: Path) -> None:
        """Check one annotation file."""
        one = check_annotation(self._dataset, self._index, path)
        counts = self._counts.setdefault(one.record.counts, one.record.counts)
        record, number = replace(one.record, counts=counts), len(self.records)
        self.findings += one.findings
        first = number if record.photo is None else self._first_of.setdefault(record.photo, number)
        if first != number:
            other = self._dataset.relative(self.records[first].path)
            message = f"annotates the same photo as {other}"
            complaint = Complaint("annotation-duplicate", None, message, "keep one of the two")
            usable = not self._say([(path, complaint)])
            record = replace(record, usable=record.usable and usable)
        elif one.drawing is not None and not record.excluded:
            self._tally.add(number, one.drawing)
        self.records.append(record)

    def _say(self, complaints: Iterable[tuple[Path, Complaint]]) -> set[Path]:
        """Add complaints that no flag waives; return the files with errors."""
        wrong = set()
        for path, complaint in complaints:
            for finding in judge(self._dataset, path, [complaint]):
                self.findings.append(finding)
                wrong |= {path} if finding.severity == "error" else set()
        return wrong

    def close(self) -> None:
        """Say what is to be said once all files are known."""
        config = self._dataset.root / "dataset.yaml"
        self._say(_photo_orphans(self._index, self.records))
        self._say((config, complaint) for complaint in self._tally.complaints())
        self._say((self.records[n].path, complaint) for n, complaint in self._tally.outliers())

    def look_at_photos(self) -> None:
        """Decode the photos; those that are not whole are not usable."""
        photos = self._index.photos
        firsts = {photo: self.records[n] for photo, n in self._first_of.items()}
        tasks = make_tasks(photos, {p: (r.path, r.embeds) for p, r in firsts.items()})
        looks = list(track(in_processes(look, tasks), "look at photos", total=len(tasks)))
        wrong = self._say(
            (task.annotation or task.photo, complaint)
            for task, one in zip(tasks, looks, strict=True)
            for complaint in one.complaints
        )
        self.records = [replace(r, usable=r.usable and r.path not in wrong) for r in self.records]
        names = [photo.relative_to(self._dataset.images).as_posix() for photo in photos]
        groups, distance = _groups(self._dataset), self._dataset.config.limits.near_photo
        alike = alike_complaints(names, looks, groups, distance)
        self._say((photos[n], complaint) for n, complaint in alike)


def _groups(dataset: Dataset) -> dict[str, str]:
    """Photos that may look alike: `collect` writes photos.csv, whether the split uses it or not."""
    path = group_file(dataset.root, dataset.config.group_by) or dataset.root / "photos.csv"
    used = dataset.config.group_by is not None
    return read_photo_groups(path) if used or path.is_file() else {}


def check_annotation(
    dataset: Dataset,
    index: PhotoIndex,
    path: Path,
    *,
    errors_only: bool = False,
) -> CheckedFile:
    """Read and check one Labelme file; never raises for what is wrong in it.

    With `errors_only`, rules that cannot keep the photo out may be left out.
    """
    try:
        annotation = read_annotation(path, known=index.known_words)
    except NotReadableError as error:
        message = str(error).removeprefix(f"{path}: ")
        fix = "restore the file from a backup, or draw it again"
        complaint = Complaint(error.rule, None, message, fix)
        findings = tuple(judge(dataset, path, [complaint]))
        return CheckedFile(Record(path, None, None, usable=False), None, findings)
    photo, header, complaints = _check_photo(index, path, annotation)
    size = stored_size(annotation) if header is None else header.size
    drawing = draw(path, annotation, photo, size, dataset.config)
    complaints = [
        *complaints,
        *file_complaints(annotation),
        *label_complaints(drawing),
        *shape_complaints(drawing, errors_only=errors_only),
        *pair_complaints(drawing, errors_only=errors_only),
    ]
    findings = tuple(judge(dataset, path, complaints, annotation))
    usable = header is not None and all(f.severity != "error" for f in findings)
    record = Record(
        path=path,
        photo=photo,
        size=size,
        usable=usable,
        excluded=bool(annotation.flags.get("exclude")),
        embeds=annotation.image_data is not None,
        counts=_counts(drawing),
        alone=annotation.encoding == "utf-8" and _is_named(path, annotation, photo),
    )
    return CheckedFile(record, drawing, findings)


def _counts(drawing: Drawing) -> tuple[int, ...]:
    config = drawing.config
    counts = Counter(config.thing_of(one.label) for one in drawing.instances)
    return tuple(counts[thing] for thing in config.things)


def _is_named(path: Path, annotation: Annotation, photo: Path | None) -> bool:
    """Whether imagePath is the very path of the photo, so that no other photo can be meant."""
    named = os.path.normpath(path.parent / annotation.image_path.replace("\\", "/"))
    return photo is not None and named == os.path.normpath(photo)


def _check_photo(
    index: PhotoIndex, path: Path, annotation: Annotation
) -> tuple[Path | None, Header | None, list[Complaint]]:
    """Return the photo, its header, and the complaints about both."""
    found = index.find(path, annotation.image_path)
    complaints = list(photo_complaints(annotation, found))
    header = None if found.photo is None else header_of(found.photo)
    if isinstance(header, Header):
        complaints += size_complaints(annotation, header)
    elif header is not None:
        complaints.append(header)
        header = None
    complaints += embedded_complaints(annotation, header)
    return found.photo, header, complaints


def _photo_orphans(
    index: PhotoIndex, records: Sequence[Record]
) -> Iterator[tuple[Path, Complaint]]:
    """Photos that nobody annotated; an unreadable file is taken for its namesake's."""
    annotated = {record.photo for record in records}
    unreadable = {record.path.stem for record in records if record.photo is None}
    for photo in index.photos:
        if photo not in annotated and photo.stem not in unreadable:
            message = "no Labelme file speaks of this photo; it is left out"
            yield photo, Complaint("photo-orphan", None, message, "draw it, or leave it")
