"""Rules that decode photos: a photo must be complete, and the copy in the annotation must match."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.findings import Complaint
from annotation.labelme.annotation import read_annotation
from annotation.photos.decoding import MOST_MEMORY, MUCH_MEMORY, apply_orientation, decoding_memory
from annotation.photos.depth import eight_bit
from annotation.photos.files import open_embedded, open_photo, read_orientation
from annotation.photos.likeness import perceptual_hash
from annotation.rules.files import EMBEDDED_FIX, unreadable
from base.errors import InputError
from base.workers import alone

Grey = NDArray[np.uint8]  # (h, w), the photo reduced to THUMB pixels or a little more
Problem = Literal["unreadable", "incomplete", "copy incomplete", "copy differs"]

THUMB = 256  # pixels of the shorter side at which photos are compared
# Measured on 60 photos of facades in 64 x 64 blocks: the correlation is 0.998 or more after a JPEG
# of quality 30, noise or a change of brightness, 0.96 to 0.76 after a shift by 8 of 512 pixels,
# 0.68 or less after mirroring and 0.56 or less with another photo from the same place.
LEAST_CORRELATION = 0.95
MOST_BRIGHTER = 40  # of 255: more than any program changes when it saves a photo


@dataclass(frozen=True, slots=True)
class InspectionTask:
    """One photo to decode; `annotation` is set if the annotation contains a copy to compare.

    `digest` is the SHA-256 of the photo and `annotation_digest` that of the annotation; they are
    empty if the file cannot be read.
    """

    photo: Path
    digest: bytes
    annotation: Path | None = None
    annotation_digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What decoding shows: a problem with its reason, and the 64-bit perceptual hash of the photo.

    `lasting` is False if the cause of the problem may be the system and not the file.
    """

    problem: Problem | None = None
    reason: str = ""
    likeness: int | None = None
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class PhotoInspection:
    """The inspection of a photo, and of the copy in its annotation; None if not inspected."""

    photo: Inspection
    copy: Inspection | None = None


def inspection_complaints(
    photo: Path, inspected: PhotoInspection, *, annotated: bool
) -> Iterator[Complaint]:
    """Report the problems of a photo and its copy.

    If an annotated photo cannot be opened, the rules about the annotation report it.
    """
    for one in (inspected.photo, inspected.copy):
        if one is None or one.problem is None or (one.problem == "unreadable" and annotated):
            continue
        yield _complaint(photo, one.problem, one.reason)


def _complaint(photo: Path, problem: Problem, reason: str) -> Complaint:
    match problem:
        case "unreadable":
            return unreadable(photo, reason)
        case "incomplete":
            message = f"{photo.name}: only part of its pixels can be decoded: {reason}"
            return Complaint("photo-truncated", None, message, "replace it with a complete copy")
        case "copy incomplete":
            message = f"only part of the pixels of imageData can be decoded: {reason}"
            return Complaint("photo-embedded", None, message, EMBEDDED_FIX)
        case "copy differs":
            message = f"imageData, on which the shapes were drawn, differs from {photo.name}"
            return Complaint("photo-embedded", None, message, EMBEDDED_FIX)


def inspect_photo(task: InspectionTask) -> PhotoInspection:
    """Decode one photo at a reduced size; never raises an error because of its contents."""
    unchecked = None if task.annotation is None else Inspection()
    try:
        with open_photo(task.photo) as image:
            if decoding_memory(image) > MOST_MEMORY:
                return PhotoInspection(Inspection(), unchecked)
            thumb = thumbnail(image, upright=True)
    except InputError as error:
        return PhotoInspection(Inspection("unreadable", str(error)), unchecked)
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        return PhotoInspection(_failed("incomplete", error), unchecked)
    copy = None if task.annotation is None else _inspect_copy(task.annotation, thumb)
    return PhotoInspection(Inspection(likeness=perceptual_hash(thumb)), copy)


def _failed(problem: Problem, error: Exception) -> Inspection:
    from_system = isinstance(error, MemoryError) or bool(getattr(error, "errno", None))
    return Inspection(problem, str(error), lasting=not from_system)


def thumbnail(image: Image.Image, *, upright: bool) -> Grey:
    """Return an opened image reduced and in grey.

    Raises the exceptions of Pillow if the pixels cannot be decoded.
    """
    # Pillow itself rotates TIFF files
    orientation = read_orientation(image) if upright and image.format != "TIFF" else 1
    with alone() if decoding_memory(image) > MUCH_MEMORY else nullcontext():
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            image.draft("L", (THUMB, THUMB))  # decodes in a third of the time
        image.load()
        image = eight_bit(image)
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        grey = image.reduce(max(1, min(image.size) // THUMB)).convert("L")
    return np.asarray(apply_orientation(grey, orientation), np.uint8)


def _inspect_copy(annotation: Path, thumb: Grey) -> Inspection:
    """Compare imageData, which Labelme shows, with the photo."""
    try:
        image_data = read_annotation(annotation).image_data or ""
        with open_embedded(image_data) as image:
            if decoding_memory(image) > MOST_MEMORY:
                return Inspection()
            embedded = thumbnail(image, upright=False)
    except InputError:
        return Inspection()  # reported by the rules about the annotation
    except Exception as error:
        return _failed("copy incomplete", error)
    return Inspection("copy differs") if images_differ(thumb, embedded) else Inspection()


def images_differ(first: Grey, second: Grey) -> bool:
    """Return whether two images differ in more than compression and brightness."""
    a, b = (_blocks(image) for image in (first, second))
    brighter = abs(float(a.mean() - b.mean()))
    a, b = a - a.mean(), b - b.mean()
    # one grey level of noise is added to both, so that images of one colour are alike
    correlation = ((a * b).mean() + 1) / (np.sqrt((a * a).mean() * (b * b).mean()) + 1)
    return bool(correlation < LEAST_CORRELATION or brighter > MOST_BRIGHTER)


def _blocks(image: Grey) -> NDArray[np.float32]:
    blocks = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(blocks, np.float32)
