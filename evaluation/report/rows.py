"""One row of the report: a photo, its ground truth and its prediction, written as JPEGs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from annotation.photos.files import read_photo
from base.errors import InputError
from base.files import inside, write_bytes
from conversion.coco.panoptic import PanopticSet, Photo
from evaluation.report.draw import Picture, draw_segments, shrink
from evaluation.scores.matching import PhotoMatch

LONG_SIDE = 1600  # pixels of a picture: more than the page shows


@dataclass(frozen=True)
class RowPicture:
    """A picture of a row; `path` is relative to the page."""

    path: str
    caption: str


@dataclass(frozen=True)
class Row:
    """One photo of the report with its numbers of hits, false alarms and missed segments."""

    name: str
    pq: float
    hits: int
    false_alarms: int
    missed: int
    pictures: tuple[RowPicture, ...]


def photo_path(truth: PanopticSet, photo: Photo, images: Path) -> Path:
    """Return the path of a photo. Raises InputError if it is outside the folder `images`."""
    return inside(images, photo.file_name, where=str(truth.json_path))


def write_row(
    match: PhotoMatch, truth: PanopticSet, prediction: PanopticSet, images: Path, out: Path
) -> Row:
    """Write the three pictures of a photo into `out/pictures`.

    Raises InputError if the photo in `images` cannot be read, is incomplete, or differs in size
    from `truth`.
    """
    bgr = read_photo(photo_path(truth, match.truth, images))
    photo = np.ascontiguousarray(bgr[..., ::-1])
    ids = truth.segment_ids(match.truth)
    if photo.shape[:2] != ids.shape:
        raise InputError(
            f"{match.truth.file_name}: expected {ids.shape[1]}x{ids.shape[0]} pixels as in"
            f" {truth.json_path}, found {photo.shape[1]}x{photo.shape[0]}; run `convert` again"
        )
    photo = shrink(photo, long_side=LONG_SIDE)
    true = draw_segments(
        photo,
        ids,
        match.truth.segments,
        truth.categories,
        wrong=[s.id for s in match.fn],
    )
    predicted = draw_segments(
        photo,
        prediction.segment_ids(match.prediction),
        match.prediction.segments,
        prediction.categories,
        wrong=[s.id for s in match.fp],
    )
    captions = (("original", photo), ("ground truth", true), ("predicted segmentation", predicted))
    pictures = tuple(
        _write_picture(picture, f"pictures/{match.truth.id:06d}_{number}.jpg", caption, out)
        for number, (caption, picture) in enumerate(captions)
    )
    counts = (len(match.tp), len(match.fp), len(match.fn))
    return Row(match.truth.file_name, match.pq, *counts, pictures)


def _write_picture(picture: Picture, relative: str, caption: str, out: Path) -> RowPicture:
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    write_bytes(out / relative, encoded.tobytes())
    return RowPicture(relative, caption)
