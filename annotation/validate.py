"""Checks of Labelme files: everything that is wrong with a set, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon
from shapely.validation import explain_validity

from annotation.dataset import Dataset
from annotation.files import InputError, nearest
from annotation.findings import Finding, Severity
from annotation.labelme import Annotation, Shape, outline, read_annotation
from annotation.photos import find_photo, photo_size
from annotation.progress import track

MARGIN = 1.0  # pixels that a point may lie outside: annotators draw up to and onto the border


Size = tuple[int, int]  # height, width in pixels
Complaint = tuple[str, Severity, str, str]  # rule, severity, message, fix


@dataclass(frozen=True)
class CheckedAnnotation:
    """One Labelme file with what was found; `photo` and `annotation` are None if unreadable."""

    path: Path
    photo: Path | None
    annotation: Annotation | None
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether no finding is an error, so that the annotation can be converted."""
        return all(finding.severity != "error" for finding in self.findings)


def check_dataset(dataset: Dataset) -> list[CheckedAnnotation]:
    """Read and check every Labelme file of a set, in the order of their paths."""
    paths = dataset.annotations()
    if not paths:
        raise InputError(f"{dataset.labelme}: no Labelme files; draw some with `annotate`")
    photos: dict[Path, Path] = {}
    checked = []
    for path in track(paths, "validate"):
        one = check_annotation(dataset, path)
        if one.photo is not None and (first := photos.setdefault(one.photo, path)) != path:
            one = _with_finding(dataset, one, first)
        checked.append(one)
    return checked


def _with_finding(dataset: Dataset, second: CheckedAnnotation, first: Path) -> CheckedAnnotation:
    finding = Finding(
        rule="annotation-duplicate",
        severity="error",
        file=second.path.relative_to(dataset.root).as_posix(),
        shape=None,
        message=f"annotates the same photo as {first.relative_to(dataset.root).as_posix()}",
        fix="keep one of the two files",
    )
    return CheckedAnnotation(
        second.path, second.photo, second.annotation, (*second.findings, finding)
    )


def all_findings(dataset: Dataset, checked: Sequence[CheckedAnnotation]) -> list[Finding]:
    """All findings of a checked set; photos that nobody annotated come last, as notes."""
    findings = [finding for one in checked for finding in one.findings]
    annotated = {one.photo for one in checked}
    unreadable = {one.path.stem for one in checked if one.annotation is None}
    for photo in dataset.photos():
        if photo not in annotated and photo.stem not in unreadable:
            file = photo.relative_to(dataset.root).as_posix()
            message = "no Labelme file speaks of this photo; it is left out"
            findings.append(
                Finding("photo-unannotated", "note", file, None, message, "draw it, or leave it")
            )
    return findings


def check_annotation(dataset: Dataset, path: Path) -> CheckedAnnotation:
    """Read and check one Labelme file; never raises for what is wrong in it."""
    file = path.relative_to(dataset.root).as_posix()
    try:
        annotation = read_annotation(path)
    except InputError as error:
        message = str(error).removeprefix(f"{path}: ")
        fix = "restore the file from a backup or draw it again"
        finding = Finding("annotation-unreadable", "error", file, None, message, fix)
        return CheckedAnnotation(path, None, None, (finding,))
    photo, size, findings = _check_photo(dataset, path, annotation)
    if not annotation.shapes:
        message = "no shape is drawn; only stuff will be in this photo"
        findings.append(
            Finding("annotation-empty", "warning", file, None, message, "draw its things")
        )
    for index, shape in enumerate(annotation.shapes):
        for rule, severity, message, fix in _check_shape(dataset, shape, size):
            findings.append(Finding(rule, severity, file, index, message, fix))
    return CheckedAnnotation(path, photo, annotation, tuple(findings))


def _check_photo(
    dataset: Dataset, path: Path, annotation: Annotation
) -> tuple[Path | None, Size | None, list[Finding]]:
    """Return the photo, the height and width that its shapes must keep to, and the findings."""
    file = path.relative_to(dataset.root).as_posix()
    stored = _stored_size(annotation)
    try:
        photo = find_photo(dataset, path, annotation.image_path)
    except InputError as error:
        fix = "put the photo back, or correct imagePath"
        return None, stored, [Finding("photo-missing", "error", file, None, str(error), fix)]
    try:
        size = photo_size(photo)
    except InputError as error:
        fix = "replace the photo by a readable copy"
        return photo, stored, [Finding("photo-unreadable", "error", file, None, str(error), fix)]
    if stored in (size, None):
        return photo, size, []
    message = f"file says {annotation.width}x{annotation.height}, photo is {size[1]}x{size[0]}"
    fix = "open and save it in Labelme, after checking that this is the photo that was drawn on"
    return photo, size, [Finding("photo-size", "error", file, None, message, fix)]


def _stored_size(annotation: Annotation) -> Size | None:
    if annotation.height is None or annotation.width is None:
        return None
    return annotation.height, annotation.width


def _check_shape(dataset: Dataset, shape: Shape, size: Size | None) -> Iterator[Complaint]:
    if shape.label not in dataset.config.things:
        message = f"label '{shape.label}' is unknown{nearest(shape.label, dataset.config.things)}"
        yield "label-unknown", "error", message, "correct the label, or add it to things"
    try:
        points = outline(shape)
    except InputError as error:
        rule = "points-few" if "points, got" in str(error) else "shape-unreadable"
        yield rule, "error", str(error), "delete the shape, or draw it again"
        return
    if size is not None:
        yield from _check_frame(points, *size)
    polygon = Polygon(points)
    if not polygon.is_valid:
        message = f"the outline crosses itself: {explain_validity(polygon)}"
        yield "self-crossing", "warning", message, "move the crossing vertices apart"


def _check_frame(points: np.ndarray, height: int, width: int) -> Iterator[Complaint]:
    low, high = points.min(axis=0), points.max(axis=0)
    if (high <= 0).any() or low[0] >= width or low[1] >= height:
        message = f"lies outside the {width}x{height} picture"
        yield "out-of-picture", "error", message, "delete the shape, or draw it again"
    elif (low < -MARGIN).any() or high[0] > width + MARGIN or high[1] > height + MARGIN:
        reach = f"x {low[0]:.0f}..{high[0]:.0f}, y {low[1]:.0f}..{high[1]:.0f}"
        message = f"reaches out of the {width}x{height} picture: {reach}; it is clipped"
        yield "out-of-picture", "warning", message, "move the vertices to the border"


def count_by(findings: Sequence[Finding], key: Callable[[Finding], str]) -> dict[str, int]:
    """Number of findings by `key`, most frequent first."""
    names = [key(finding) for finding in findings]
    return dict(sorted(((n, names.count(n)) for n in set(names)), key=lambda x: (-x[1], x[0])))
