"""Which photos still need work, in which order, and where the annotation of each is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.photos.listing import Paths
from annotation.rules.checked import Checked, CheckedAnnotation
from base.errors import InputError, nearest
from base.files import read_regular
from base.naming import fold

_MOST_BYTES = 16 << 20  # of a list of photos

State = Literal["new", "error", "warning", "fine"]  # in the order in which Labelme shows them
STATES: tuple[State, ...] = ("new", "error", "warning", "fine")
Check = Callable[[Dataset], Checked]


@dataclass(frozen=True)
class AnnotationStatus:
    """The progress of a set: the annotation of each photo and the findings on each file."""

    photos: Paths
    annotations: dict[Path, Path]  # by photo
    findings: dict[Path, list[Finding]]  # by file

    def state(self, photo: Path) -> State:
        """Return "new", or the worst severity of the findings on a photo's annotation."""
        annotation = self.annotations.get(photo)
        return "new" if annotation is None else self._worst(annotation)

    def _worst(self, file: Path) -> State:
        severities = (finding.severity for finding in self.findings.get(file, ()))
        states = (severity for severity in severities if severity != "note")
        return min(states, key=STATES.index, default="fine")

    def findings_on(self, files: Iterable[Path]) -> tuple[Finding, ...]:
        """Return the findings on these files, in the order of their paths."""
        return tuple(one for file in sorted(files) for one in self.findings.get(file, ()))

    def in_order(self) -> list[Path]:
        """Return photos without annotation, then those with errors, with warnings, and the rest."""
        return sorted(self.photos, key=lambda photo: STATES.index(self.state(photo)))

    def left(self) -> str:
        """Return one line that says what is left to do."""
        new = sum(photo not in self.annotations for photo in self.photos)
        files = [self._worst(path) for path in self.findings if path.suffix.lower() == ".json"]
        flagged = f"with errors: {files.count('error')}, with warnings: {files.count('warning')}"
        return f"left: photos without annotation: {new} of {len(self.photos)}; files {flagged}"


def read_status(dataset: Dataset, check: Check) -> AnnotationStatus:
    """Check the set and return its status.

    Raises InputError if the set has no photos, or if `check` raises it.
    """
    photos = dataset.photos()
    if not photos:
        raise InputError(f"{dataset.images}: no photos; copy some there, or run `collect`")
    if not dataset.annotations():
        return AnnotationStatus(photos, {}, {})
    checked = check(dataset)
    annotations = {r.photo: r.path for r in reversed(checked.annotations) if r.photo is not None}
    for photo, path in _namesakes(dataset, photos, checked.annotations):
        annotations.setdefault(photo, path)
    findings: dict[Path, list[Finding]] = {}
    for finding in checked.findings:
        findings.setdefault(dataset.root / finding.file, []).append(finding)
    return AnnotationStatus(photos, annotations, findings)


def _namesakes(
    dataset: Dataset, photos: Iterable[Path], checked: Iterable[CheckedAnnotation]
) -> Iterator[tuple[Path, Path]]:
    """Yield photos and annotations with the same name, if the annotation's photo was not found."""
    orphans = {one.path for one in checked if one.photo is None}
    for photo in photos:
        for folder in (dataset.images, dataset.labelme):
            path = _default_path(dataset, photo, folder)
            if path in orphans:
                orphans.remove(path)  # a.jpg and a.png cannot both have a.json
                yield photo, path


def _default_path(dataset: Dataset, photo: Path, folder: Path) -> Path:
    return folder / photo.relative_to(dataset.images).with_name(f"{photo.stem}.json")


def annotation_paths(dataset: Dataset, status: AnnotationStatus) -> dict[Path, Path]:
    """Return the path of the annotation of each photo, whether it exists or not.

    New annotations are put into `labelme/`, in the subfolder of the photo, unless all others are
    beside the photos. If another photo uses the name (a.jpg, a.png), the suffix is added to it.
    """
    present = dataset.annotations()
    apart = any(path.is_relative_to(dataset.labelme) for path in present)
    beside = dataset.is_flat or (bool(present) and not apart)
    folder = dataset.images if beside else dataset.labelme
    taken = {fold(str(path)) for path in present}
    found = {}
    for photo in status.photos:
        first = _default_path(dataset, photo, folder)
        path = status.annotations.get(photo) or _free(first, photo.name, taken)
        taken.add(fold(str(path)))
        found[photo] = path
    return found


def _free(path: Path, name: str, taken: set[str]) -> Path:
    number = 1
    while fold(str(path)) in taken:
        path = path.with_name(f"{name}.json" if number == 1 else f"{name}-{number}.json")
        number += 1
    return path


def read_photo_list(source: Path, dataset: Dataset, photos: Sequence[Path]) -> list[Path]:
    """Read the photos listed in a text file, with one path below images/ per line.

    `-` is the standard input. The order is kept. Raises InputError if the source is not a regular
    file, if a line names no photo of the set, or if there are no lines.
    """
    known = {photo.relative_to(dataset.images).as_posix(): photo for photo in photos}
    chosen = {}
    for number, line in enumerate(_lines(source), start=1):
        name = line.strip()
        if name and name not in known:
            close = nearest(name, known)
            raise InputError(
                f"{source}: line {number}: no photo '{name}' in {dataset.images}{close}"
            )
        if name:
            chosen[name] = known[name]
    if not chosen:
        raise InputError(f"{source}: lists no photos; expected one path below images/ per line")
    return list(chosen.values())


def _lines(source: Path) -> list[str]:
    try:
        if str(source) == "-":
            data = sys.stdin.buffer.read()
        else:
            data = read_regular(source, most_bytes=_MOST_BYTES)
        return data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{source}: is not valid UTF-8") from None
