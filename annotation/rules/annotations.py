"""Checking one annotation file with all rules about single files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Complaint
from annotation.labelme.annotation import Annotation, NotReadableError, read_annotation
from annotation.labelme.photo_index import PhotoIndex
from annotation.labelme.proposals import PROPOSED
from annotation.photos.files import Header
from annotation.rules.checked import CheckedAnnotation, CheckedFile
from annotation.rules.files import (
    embedded_complaints,
    file_complaints,
    header_complaints,
    header_of,
    photo_complaints,
    stored_size,
)
from annotation.rules.judge import judge
from annotation.rules.labels import label_complaints
from annotation.rules.pairs import pair_complaints
from annotation.rules.resolved import ResolvedAnnotation, resolve_annotation
from annotation.rules.shapes import shape_complaints
from annotation.rules.statistics import statistics_of


def check_annotation(
    dataset: Dataset, index: PhotoIndex, path: Path, *, errors_only: bool = False
) -> CheckedFile:
    """Read and check one Labelme file; never raises an error because of its contents.

    With `errors_only`, rules that report no errors in this set may be skipped, and there are no
    statistics.
    """
    try:
        annotation = read_annotation(path, known=index.known_words)
    except NotReadableError as error:
        message = str(error).removeprefix(f"{path}: ")
        fix = "restore the file from a backup, or draw it again"
        complaint = Complaint(error.rule, None, message, fix)
        findings = tuple(judge(dataset, path, [complaint]))
        return CheckedFile(CheckedAnnotation(path, None, None, usable=False), findings)
    photo, header, complaints = _check_photo(index, path, annotation)
    size = stored_size(annotation) if header is None else header.size
    # Shapes that were drawn on a picture of another size are outside the photo, or cover all of it,
    # for one reason, which is reported once.
    wrong = {one.rule for one in complaints} & {"photo-size", "photo-rotation"}
    frame = None if dataset.config.has_error(*wrong) else size
    resolved = resolve_annotation(path, annotation, photo, frame, dataset.config)
    complaints += [
        *file_complaints(annotation),
        *label_complaints(resolved),
        *shape_complaints(resolved, errors_only=errors_only),
        *pair_complaints(resolved, errors_only=errors_only),
    ]
    findings = tuple(judge(dataset, path, complaints, annotation))
    checked = CheckedAnnotation(
        path=path,
        photo=photo,
        size=size,
        usable=header is not None and all(f.severity != "error" for f in findings),
        excluded=any(annotation.flags.get(flag) for flag in ("exclude", PROPOSED)),
        embeds=annotation.image_data is not None,
        counts=_counts(resolved),
        alone=annotation.encoding == "utf-8" and _is_named(path, annotation, photo),
    )
    return CheckedFile(checked, findings, None if errors_only else statistics_of(resolved))


def _counts(resolved: ResolvedAnnotation) -> tuple[int, ...]:
    config = resolved.config
    counts = Counter(config.thing_of(one.label) for one in resolved.instances)
    return tuple(counts[thing] for thing in config.things)


def _is_named(path: Path, annotation: Annotation, photo: Path | None) -> bool:
    """Return whether imagePath is the path of the photo, so that no other photo is possible."""
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
        complaints += header_complaints(annotation, header)
    elif header is not None:
        complaints.append(header)
        header = None
    complaints += embedded_complaints(annotation, header)
    return found.photo, header, complaints
