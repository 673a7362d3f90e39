"""Checks of Labelme files: everything that is wrong with a set, at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.drawing import Drawing, draw
from annotation.files import InputError
from annotation.findings import RULES, Complaint, Finding
from annotation.labelme import Annotation, NotReadableError, read_annotation
from annotation.photos import Header, PhotoIndex, Size
from annotation.progress import track
from annotation.rules.files import (
    file_complaints,
    header_of,
    photo_complaints,
    size_complaints,
    stored_size,
)
from annotation.rules.labels import label_complaints
from annotation.rules.pairs import pair_complaints
from annotation.rules.sets import Tally
from annotation.rules.shapes import shape_complaints

CHECKED = "checked"  # the flag with which a person says: I looked, this shape is right


@dataclass(frozen=True)
class Record:
    """One Labelme file after its check; `usable` where no finding is an error."""

    path: Path
    photo: Path | None
    size: Size | None
    usable: bool
    excluded: bool = False  # by its photo flag `exclude`


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


def check_dataset(dataset: Dataset) -> Checked:
    """Read and check every Labelme file of a set; InputError where there is none."""
    paths = dataset.annotations()
    if not paths:
        raise InputError(f"{dataset.labelme}: no Labelme files; draw some with `annotate`")
    index = PhotoIndex(dataset, dataset.photos())
    known = _known_words(dataset, index)
    records: list[Record] = []
    findings: list[Finding] = []
    tally = Tally()
    first_of: dict[Path, Path] = {}
    for path in track(paths, "validate"):
        one = check_annotation(dataset, index, path, known=known)
        photo = one.record.photo
        if photo is not None and (first := first_of.setdefault(photo, path)) != path:
            one = _second_of_a_photo(dataset, one, first)
        records.append(one.record)
        findings += one.findings
        if one.drawing is not None:
            tally.add(one.drawing)
    orphans = _photo_orphans(dataset, index, records)
    return Checked(tuple(records), (*findings, *orphans))


def _known_words(dataset: Dataset, index: PhotoIndex) -> list[str]:
    """Words other than ASCII that annotations may hold: they tell one code page from another."""
    words = [*dataset.config.labels, *(photo.name for photo in index.photos)]
    return [word for word in words if not word.isascii()]


def check_annotation(
    dataset: Dataset, index: PhotoIndex, path: Path, *, known: Sequence[str] = ()
) -> CheckedFile:
    """Read and check one Labelme file; never raises for what is wrong in it."""
    try:
        annotation = read_annotation(path, known=known)
    except NotReadableError as error:
        message = str(error).removeprefix(f"{path}: ")
        fix = "restore the file from a backup, or draw it again"
        complaint = Complaint(error.rule, None, message, fix)
        findings = tuple(judge(dataset, path, [complaint], None))
        return CheckedFile(Record(path, None, None, usable=False), None, findings)
    photo, size, complaints = _check_photo(index, path, annotation)
    drawing = draw(path, annotation, photo, size, dataset.config)
    complaints = [
        *complaints,
        *file_complaints(annotation),
        *label_complaints(drawing),
        *shape_complaints(drawing),
        *pair_complaints(drawing),
    ]
    findings = tuple(judge(dataset, path, complaints, annotation))
    usable = photo is not None and all(f.severity != "error" for f in findings)
    excluded = bool(annotation.flags.get("exclude"))
    return CheckedFile(Record(path, photo, size, usable, excluded), drawing, findings)


def _check_photo(
    index: PhotoIndex, path: Path, annotation: Annotation
) -> tuple[Path | None, Size | None, list[Complaint]]:
    """Return the photo, the size that its shapes must keep to, and the complaints."""
    found = index.find(path, annotation.image_path)
    complaints = list(photo_complaints(annotation, found))
    if found.photo is None:
        return None, stored_size(annotation), complaints
    header = header_of(found.photo)
    if not isinstance(header, Header):
        return found.photo, stored_size(annotation), [*complaints, header]
    return found.photo, header.size, [*complaints, *size_complaints(annotation, header)]


def judge(
    dataset: Dataset, path: Path, complaints: Iterable[Complaint], annotation: Annotation | None
) -> Iterator[Finding]:
    """Complaints as findings: with the set's severities, without what is waived.

    A shape with the flag `checked` has no warnings and notes; errors stay.
    """
    file = dataset.relative(path)
    for c in complaints:
        severity = dataset.config.severity.get(c.rule, RULES[c.rule])
        shape = None if annotation is None or c.shape is None else annotation.shapes[c.shape]
        waived = shape is not None and shape.flags.get(CHECKED) and severity != "error"
        if severity != "ignore" and not waived:
            yield Finding(c.rule, severity, file, c.shape, c.message, c.fix)


def _second_of_a_photo(dataset: Dataset, second: CheckedFile, first: Path) -> CheckedFile:
    message = f"annotates the same photo as {dataset.relative(first)}"
    complaint = Complaint("annotation-duplicate", None, message, "keep one of the two files")
    findings = tuple(judge(dataset, second.record.path, [complaint], None))
    usable = second.record.usable and all(f.severity != "error" for f in findings)
    record = Record(
        second.record.path, second.record.photo, second.record.size, usable, second.record.excluded
    )
    return CheckedFile(record, second.drawing, (*second.findings, *findings))


def _photo_orphans(
    dataset: Dataset, index: PhotoIndex, records: Sequence[Record]
) -> Iterator[Finding]:
    """Photos that nobody annotated; an unreadable file is taken for its namesake's."""
    annotated = {record.photo for record in records}
    unreadable = {record.path.stem for record in records if record.photo is None}
    for photo in index.photos:
        if photo not in annotated and photo.stem not in unreadable:
            message = "no Labelme file speaks of this photo; it is left out"
            complaint = Complaint("photo-orphan", None, message, "draw it, or leave it")
            yield from judge(dataset, photo, [complaint], None)


def count_by(findings: Sequence[Finding], key: Callable[[Finding], str]) -> dict[str, int]:
    """Number of findings by `key`, most frequent first."""
    counts = Counter(map(key, findings))
    return dict(sorted(counts.items(), key=lambda x: (-x[1], x[0])))
