"""Pictures: an annotation over its photo, and pictures side by side in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from annotation.dataset import Dataset
from annotation.findings import Finding
from evaluation.report.draw import Picture

QUALITY = 80  # of the JPEG that a notebook shows
GAP = 6  # pixels between two pictures


@dataclass(frozen=True, eq=False, repr=False)
class Shown:
    """A picture, (H, W, 3) uint8 RGB in `pixels`, that a notebook shows as a JPEG."""

    pixels: Picture

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"Shown({width}x{height})"

    def _repr_jpeg_(self) -> bytes:
        parameters = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        return cv2.imencode(".jpg", self.pixels[..., ::-1], parameters)[1].tobytes()


def show(*pictures: Picture) -> Shown:
    """Return pictures, (H, W, 3) uint8 RGB each, side by side, as one that a notebook shows.

    There is white between them, and below those with fewer rows.
    """
    rows = max(len(picture) for picture in pictures)
    sides = [(0, rows - len(picture), 0, GAP) for picture in pictures]
    padded = [
        cv2.copyMakeBorder(picture, *one, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        for picture, one in zip(pictures, sides, strict=True)
    ]
    return Shown(np.hstack(padded)[:, :-GAP])


def draw_annotation(dataset: Dataset, file: str | Path, finding: Finding | None = None) -> Picture:
    """Draw the shapes of an annotation over its photo, as the page of `validate --html` does.

    `file` is the path below the data set, as in findings. With a `finding` on the file, the
    picture shows its shape in red, and only the part of the photo around it. Returns
    (270, 360, 3) uint8 RGB. Raises InputError if the annotation or its photo cannot be read.
    """
    from annotation.labelme.annotation import read_annotation
    from annotation.labelme.photo_index import PhotoIndex
    from annotation.photos.listing import PHOTO_SUFFIXES
    from annotation.report.pictures import draw_annotation as draw

    path = dataset.root / file
    if path.suffix.lower() in PHOTO_SUFFIXES:  # a finding on a photo
        return draw(None, path, finding)
    annotation = read_annotation(path)
    found = PhotoIndex(dataset, dataset.photos()).find(path, annotation.image_path)
    return draw(annotation, found.photo, finding)
