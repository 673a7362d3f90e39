"""Comparing one photo of a COCO file with the data set, and writing it into the set."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.labelme.annotation import (
    Annotation,
    NotReadableError,
    encode_annotation,
    read_annotation,
)
from base.files import inside, is_cut_short, write_bytes
from base.links import link_or_copy
from conversion.coco.problems import Problems
from conversion.importing.photos import ImportedPhoto
from conversion.importing.segments import shapes_of_segments
from conversion.importing.settings import STUFF_FOLDER
from conversion.importing.shapes import ConvertedImage, shapes_of_instances
from conversion.painting.merge import KEPT


@dataclass(frozen=True)
class WrittenPhoto:
    """The number of shapes of a photo, and whether it has stuff and was imported earlier."""

    shapes: int
    stuff: bool
    present: bool


@dataclass(frozen=True)
class _Target:
    """The files of a photo in the data set."""

    photo: Path
    stuff: Path
    labelme: Path
    beside: Path  # where Labelme looks first

    @classmethod
    def of(cls, root: Path, photo: ImportedPhoto) -> _Target:
        name = photo.name
        stem = PurePosixPath(name).with_suffix("")
        return cls(
            photo=inside(root / "images", name, where=name),
            stuff=root / STUFF_FOLDER / photo.map_name,
            labelme=root / "labelme" / f"{stem}.json",
            beside=root / "images" / f"{stem}.json",
        )


def check_photo(root: Path, photo: ImportedPhoto, problems: Problems) -> ConvertedImage:
    """Convert a photo's annotations and compare the result with existing files of the data set."""
    converted = _convert(photo, problems)
    where = photo.image.where
    target = _Target.of(root, photo)
    annotation = _annotation(photo, target, converted)
    contents = _contents(photo, target, converted)
    allowed = {
        target.photo: _same_file(photo.path, target.photo),
        target.labelme: _reads_as(target.labelme, annotation),
        target.beside: False,
        target.stuff: converted.stuff is None or _same_map(target.stuff, converted.stuff),
    }
    for path, same in allowed.items():
        if os.path.lexists(path) and not same and not _is_lost(path, contents.get(path)):
            problems.add(f"{path}: exists and differs from what {where} would give; move it away")
    return converted


def _contents(
    photo: ImportedPhoto, target: _Target, converted: ConvertedImage
) -> dict[Path, Callable[[], bytes]]:
    """Return functions that compute the contents of the files of a photo."""
    contents: dict[Path, Callable[[], bytes]] = {target.photo: photo.path.read_bytes}
    if converted.stuff is not None:
        stuff = converted.stuff
        contents[target.stuff] = lambda: cv2.imencode(".png", stuff)[1].tobytes()
    if converted.annotated:
        annotation = _annotation(photo, target, converted)
        contents[target.labelme] = lambda: encode_annotation(annotation)
    return contents


def _is_lost(path: Path, content: Callable[[], bytes] | None) -> bool:
    """Return whether a file is missing, or was cut short by a power cut after its import."""
    if content is None or not os.path.lexists(path):
        return content is not None
    try:
        return is_cut_short(path, content())
    except OSError:
        return False


def _convert(photo: ImportedPhoto, problems: Problems) -> ConvertedImage:
    convert = shapes_of_segments if photo.file.panoptic else shapes_of_instances
    return convert(photo.file, photo.image, photo.labels, photo.size, problems)


def _annotation(photo: ImportedPhoto, target: _Target, converted: ConvertedImage) -> Annotation:
    kept: dict[str, Any] = {"split": photo.file.split, "image": photo.image.values}
    if converted.segments:
        kept["stuff"] = list(converted.segments)
    return Annotation(
        image_path=os.path.relpath(target.photo, target.labelme.parent).replace(os.sep, "/"),
        height=photo.size[0],
        width=photo.size[1],
        shapes=converted.shapes,
        extra={KEPT: kept},
    )


def _same_file(first: Path, second: Path) -> bool:
    if not second.is_file():
        return False
    return first.samefile(second) or filecmp.cmp(first, second, shallow=False)


def _reads_as(path: Path, annotation: Annotation) -> bool:
    try:
        return path.exists() and read_annotation(path) == annotation
    except NotReadableError:
        return False


def _same_map(path: Path, stuff: NDArray[np.uint8]) -> bool:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    return found is not None and np.array_equal(found, stuff)


def write_photo(root: Path, photo: ImportedPhoto) -> WrittenPhoto:
    """Write the files that are missing; the Labelme file is written last."""
    converted = _convert(photo, Problems())
    target = _Target.of(root, photo)
    contents = _contents(photo, target, converted)
    lost = [path for path in contents if _is_lost(path, contents[path])]
    present = target.labelme.exists() and target.labelme not in lost
    for path in lost:
        if path == target.photo:
            path.unlink(missing_ok=True)
            link_or_copy(photo.path.resolve(), path, kind="hard")
        else:
            write_bytes(path, contents[path]())
    return WrittenPhoto(len(converted.shapes), converted.stuff is not None, present)
