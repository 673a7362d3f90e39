"""One row of the report: a photo, its ground truth and its prediction, with errors outlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from annotation.photos.files import read_photo
from base.errors import InputError
from base.files import inside, write_bytes
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import SegmentIds
from evaluation.errors.kinds import Kind
from evaluation.report.draw import Picture, sample_ids, shrink, tint_segments
from evaluation.report.outlines import (
    Label,
    Region,
    find_regions,
    innermost,
    label_beside,
    outline_path,
    without_overlaps,
)
from evaluation.report.records import PhotoRecords, Record

LONG_SIDE = 1600  # pixels of a picture: more than the page shows
QUALITY = 82  # of the JPEGs
PRECISE = 0.8  # IoU above which the outline of a hit is not marked
SIDES = ("truth", "prediction")
_LEAST_NAMED = 0.008  # of a picture's pixels; smaller segments have no name


@dataclass(frozen=True)
class Mark:
    """An outlined error or hit: the data of an SVG path in pixels, and its label.

    `record` is its number among the records of its photo. Where labels are crowded, this one is
    shown only if the person points at the error.
    """

    record: int
    kind: Kind
    is_hit: bool
    path: str
    label: Label
    is_crowded: bool


@dataclass(frozen=True)
class RowPicture:
    """A picture of a row; `path` is relative to the page."""

    path: str
    caption: str
    marks: tuple[Mark, ...] = ()
    names: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Row:
    """One photo of the report: its records, and three pictures of `width` x `height` pixels.

    `errors` has the numbers of the records that are no hits, the most expensive first.
    """

    photo: PhotoRecords
    errors: tuple[int, ...]
    width: int
    height: int
    pictures: tuple[RowPicture, ...]


def photo_path(truth: PanopticSet, photo: Photo, images: Path) -> Path:
    """Return the path of a photo. Raises InputError if it is outside the folder `images`."""
    return inside(images, photo.file_name, where=str(truth.json_path))


def read_true_photo(truth: PanopticSet, entry: Photo, images: Path) -> tuple[Picture, SegmentIds]:
    """Read a photo (H, W, 3) RGB from the folder `images`, and its segment ids (H, W).

    Raises InputError if a file cannot be read, is incomplete, or if their sizes differ.
    """
    ids = truth.segment_ids(entry)
    bgr = read_photo(photo_path(truth, entry, images))
    if bgr.shape[:2] != ids.shape:
        raise InputError(
            f"{entry.file_name}: expected {ids.shape[1]}x{ids.shape[0]} pixels as in"
            f" {truth.json_path}, found {bgr.shape[1]}x{bgr.shape[0]}; run `convert` again"
        )
    return np.ascontiguousarray(bgr[..., ::-1]), ids


def write_row(
    photo: PhotoRecords, truth: PanopticSet, prediction: PanopticSet, images: Path, out: Path
) -> Row:
    """Write the three pictures of a photo into `out/pictures`.

    Raises InputError as `read_true_photo` does.
    """
    match = photo.match
    pixels, true_ids = read_true_photo(truth, match.truth, images)
    pixels = shrink(pixels, long_side=LONG_SIDE)
    predicted_ids = prediction.segment_ids(match.prediction)
    true, predicted = ([getattr(r, side) for r in photo.records] for side in SIDES)
    sides = (
        ("ground truth", truth, match.truth, true_ids, true),
        ("predicted segmentation", prediction, match.prediction, predicted_ids, predicted),
    )
    stem = f"pictures/{match.truth.id:06d}"
    _write_jpeg(pixels, out / f"{stem}_0.jpg")
    pictures = [RowPicture(f"{stem}_0.jpg", "original")]
    for number, (caption, panoptic, of_photo, large, segments) in enumerate(sides, start=1):
        ids = sample_ids(large, pixels.shape[:2])
        name = f"{stem}_{number}.jpg"
        drawn = tint_segments(pixels, ids, of_photo.segments, panoptic.categories)
        _write_jpeg(drawn, out / name)
        regions = find_regions(ids)
        marks = _marks(regions, photo.records, segments)
        names = {c.id: c.name for c in panoptic.categories}
        shown = _names(regions, of_photo.segments, [m for m in marks if not m.is_hit], names)
        pictures.append(RowPicture(name, caption, marks, shown))
    height, width = pixels.shape[:2]
    errors = [number for number, record in enumerate(photo.records) if not record.is_hit]
    errors.sort(key=lambda number: -photo.records[number].price)
    return Row(photo, tuple(errors), width, height, tuple(pictures))


def _marks(
    regions: Mapping[int, Region], records: Sequence[Record], segments: Sequence[Segment | None]
) -> tuple[Mark, ...]:
    """Outline the errors, and the hits with an imprecise outline.

    `segments` has the segment of each record on this side.
    """
    marks: list[Mark] = []
    for number, (record, segment) in enumerate(zip(records, segments, strict=True)):
        if not record.kind or not segment or (record.is_hit and record.iou > PRECISE):
            continue
        region = regions.get(segment.id)
        if region:  # a small segment may vanish in a shrunk photo
            # hits are shown only with a filter, and then instead of the errors
            taken = [m.label for m in marks if m.is_hit == record.is_hit and not m.is_crowded]
            label = label_beside(region, record.kind, taken)
            shown = label or Label(record.kind, innermost(region))
            path = outline_path(region)
            marks.append(Mark(number, record.kind, record.is_hit, path, shown, not label))
    return tuple(marks)


def _names(
    regions: Mapping[int, Region],
    segments: Sequence[Segment],
    marks: Sequence[Mark],
    names: Mapping[int, str],
) -> tuple[Label, ...]:
    """Return the names of segments that are large enough, where they do not cover a mark's name."""
    labels = []
    for segment in segments:
        region = regions.get(segment.id)
        if region and region.share >= _LEAST_NAMED:
            labels.append(Label(names[segment.category_id], innermost(region), region.share))
    return without_overlaps(labels, [mark.label for mark in marks if not mark.is_crowded])


def _write_jpeg(picture: Picture, path: Path) -> None:
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_bytes(path, encoded.tobytes())
