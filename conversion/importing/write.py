"""One photo of a COCO file and its place in a data set: compared first, then written."""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.labelme.annotation import (
    Annotation,
    NotReadableError,
    read_annotation,
    write_annotation,
)
from base.files import inside, write_bytes
from base.links import link_or_copy
from conversion.coco.file import Problems
from conversion.importing.labels import STUFF_FOLDER
from conversion.importing.photos import Photo
from conversion.importing.segments import draw_segments
from conversion.importing.shapes import Drawn, draw_instances
from conversion.painting.merge import KEPT


@dataclass(frozen=True)
class Written:
    """What one photo has; `present` where it was whole before."""

    shapes: int
    stuff: bool
    present: bool


@dataclass(frozen=True)
class _Target:
    """Where a photo and what was drawn on it go."""

    photo: Path
    stuff: Path
    labelme: Path
    beside: Path  # where Labelme would look first

    @classmethod
    def of(cls, root: Path, name: str) -> _Target:
        stem = PurePosixPath(name).with_suffix("")
        return cls(
            photo=inside(root / "images", name, where=name),
            stuff=root / STUFF_FOLDER / f"{stem}.png",
            labelme=root / "labelme" / f"{stem}.json",
            beside=root / "images" / f"{stem}.json",
        )


def check_photo(root: Path, photo: Photo, problems: Problems) -> None:
    """Draw a photo's shapes, and compare with what the set has in their place."""
    drawn = _draw(photo, problems)
    where = photo.image.where
    target = _Target.of(root, photo.name)
    annotation = _annotation(photo, target, drawn)
    allowed = {
        target.photo: _same_file(photo.path, target.photo),
        target.labelme: _reads_as(target.labelme, annotation),
        target.beside: False,
        target.stuff: drawn.stuff is None or _same_map(target.stuff, drawn.stuff),
    }
    for path, same in allowed.items():
        if os.path.lexists(path) and not same:
            problems.add(f"{path}: exists already, other than {where} would make it; move it away")


def _draw(photo: Photo, problems: Problems) -> Drawn:
    draw = draw_segments if photo.file.panoptic else draw_instances
    return draw(photo.file, photo.image, photo.labels, photo.size, problems)


def _annotation(photo: Photo, target: _Target, drawn: Drawn) -> Annotation:
    kept: dict[str, Any] = {"split": photo.file.split, "image": photo.image.values}
    if drawn.segments:
        kept["stuff"] = list(drawn.segments)
    return Annotation(
        image_path=os.path.relpath(target.photo, target.labelme.parent).replace(os.sep, "/"),
        height=photo.size[0],
        width=photo.size[1],
        shapes=drawn.shapes,
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


def write_photo(root: Path, photo: Photo) -> Written:
    """Write what is not there yet; the Labelme file comes last."""
    drawn = _draw(photo, Problems())
    target = _Target.of(root, photo.name)
    present = target.labelme.exists()
    if not target.photo.exists():
        link_or_copy(photo.path.resolve(), target.photo, kind="hard")
    if drawn.stuff is not None and not target.stuff.exists():
        write_bytes(target.stuff, cv2.imencode(".png", drawn.stuff)[1].tobytes())
    if not present:
        write_annotation(target.labelme, _annotation(photo, target, drawn))
    return Written(len(drawn.shapes), drawn.stuff is not None, present)
