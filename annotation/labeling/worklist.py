"""Which photos are to be drawn, in which order, and where the annotation of each belongs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.listing import Paths
from annotation.rules.validate import Record, check_annotation, check_dataset
from base.errors import InputError, nearest
from base.naming import fold

State = Literal["new", "error", "warning", "fine"]  # in the order of drawing
STATES: tuple[State, ...] = ("new", "error", "warning", "fine")


@dataclass(frozen=True)
class Worklist:
    """How far a set is: the annotation of each annotated photo, the worst finding of each file."""

    photos: Paths
    annotations: dict[Path, Path]  # by photo
    worst: dict[Path, State]  # by annotation

    def state(self, photo: Path) -> State:
        annotation = self.annotations.get(photo)
        return "new" if annotation is None else self.worst.get(annotation, "fine")

    def in_order(self) -> list[Path]:
        """Photos without annotation, those with errors, those with warnings, the others."""
        return sorted(self.photos, key=lambda photo: STATES.index(self.state(photo)))

    def left(self) -> str:
        """One line for the person who closed Labelme."""
        new = sum(photo not in self.annotations for photo in self.photos)
        files = [state for path, state in self.worst.items() if path.suffix.lower() == ".json"]
        flagged = f"with errors: {files.count('error')}, with warnings: {files.count('warning')}"
        return f"left: photos without annotation: {new} of {len(self.photos)}; files {flagged}"


def survey(dataset: Dataset) -> Worklist:
    """Check the set and see how far it is; InputError where it has no photos."""
    photos = dataset.photos()
    if not photos:
        raise InputError(f"{dataset.images}: no photos; put some there, or `collect` them")
    if not dataset.annotations():
        return Worklist(photos, {}, {})
    checked = check_dataset(dataset)
    annotations = {r.photo: r.path for r in reversed(checked.records) if r.photo is not None}
    for photo, path in _namesakes(dataset, photos, checked.records):
        annotations.setdefault(photo, path)
    return Worklist(photos, annotations, _worst(dataset, checked.findings))


def _namesakes(
    dataset: Dataset, photos: Iterable[Path], records: Iterable[Record]
) -> Iterator[tuple[Path, Path]]:
    """Annotations that cannot say which photo they are of, but are called like one."""
    lost = {record.path for record in records if record.photo is None}
    for photo in photos:
        for folder in (dataset.images, dataset.labelme):
            path = _called_like(dataset, photo, folder)
            if path in lost:
                lost.remove(path)  # a.jpg and a.png cannot both have a.json
                yield photo, path


def _called_like(dataset: Dataset, photo: Path, folder: Path) -> Path:
    return folder / photo.relative_to(dataset.images).with_name(f"{photo.stem}.json")


def _worst(dataset: Dataset, findings: Iterable[Finding]) -> dict[Path, State]:
    worst: dict[Path, State] = {}
    for finding in findings:
        if finding.severity != "note":
            path = dataset.root / finding.file
            worst[path] = min(worst.get(path, "fine"), finding.severity, key=STATES.index)
    return worst


def recheck(
    dataset: Dataset, before: Worklist, changed: Iterable[Path]
) -> tuple[Worklist, list[Finding]]:
    """Check what was changed, and only that: how far the set is now, and the findings."""
    index = PhotoIndex(dataset, before.photos)
    annotations, findings = dict(before.annotations), list[Finding]()
    paths = sorted(changed)
    for path in paths:
        if not path.is_file():  # deleted in Labelme
            annotations = {photo: a for photo, a in annotations.items() if a != path}
            continue
        one = check_annotation(dataset, index, path)
        findings += one.findings
        if one.record.photo is not None:
            annotations[one.record.photo] = path
    worst = {path: state for path, state in before.worst.items() if path not in paths}
    worst |= _worst(dataset, findings)
    return replace(before, annotations=annotations, worst=worst), findings


def places(dataset: Dataset, work: Worklist) -> dict[Path, Path]:
    """Where the annotation of each photo lies, or will lie.

    New ones go to `labelme/`, into the photo's subfolder, unless all others lie beside the photos.
    Where another photo has the name already (a.jpg, a.png), the suffix comes in.
    """
    present = dataset.annotations()
    beside = bool(present) and not any(p.is_relative_to(dataset.labelme) for p in present)
    folder = dataset.images if beside else dataset.labelme
    taken = {fold(str(path)) for path in present}
    found = {}
    for photo in work.photos:
        first = _called_like(dataset, photo, folder)
        path = work.annotations.get(photo) or _free(first, photo.name, taken)
        taken.add(fold(str(path)))
        found[photo] = path
    return found


def _free(path: Path, name: str, taken: set[str]) -> Path:
    number = 1
    while fold(str(path)) in taken:
        path = path.with_name(f"{name}.json" if number == 1 else f"{name}-{number}.json")
        number += 1
    return path


def read_list(source: Path, dataset: Dataset, photos: Sequence[Path]) -> list[Path]:
    """Photos named in a text file, or in the standard input for `-`: one path below images/ a line.

    Their order stays. InputError names the line that names no photo.
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
        raise InputError(f"{source}: names no photos; expected one path below images/ a line")
    return list(chosen.values())


def _lines(source: Path) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
        return data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{source}: is no UTF-8 text") from None
