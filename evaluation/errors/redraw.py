"""The photos to annotate again: `redraw.txt` for people, `redraw.json` with the segments.

`redraw.txt` has one file name per line, as `annotate --only` reads it. `redraw.json` has the same
photos in the same order, with their wrong segments, and a digest of the ground truth and the
prediction that were compared:

    {"inputs": "5d41...", "photos": [{"file_name": "a.jpg", "pq": 0.61, "segments": [
        {"outcome": "fn", "category": "window", "area": 64, "bbox": [20, 4, 8, 8],
         "truth_id": 12, "prediction_id": 3, "other_category": "door", "iou": 0.42}]}]}

Segment ids refer to the panoptic PNGs of the ground truth and of the prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from base.errors import InputError
from base.files import RunningDigest, write_bytes
from base.parsing import parse, read_json, write_json
from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from conversion.coco.panoptic_file import png_folders
from conversion.coco.results import INSTANCES
from evaluation.scores.matching import PhotoMatch

TEXT_NAME = "redraw.txt"
JSON_NAME = "redraw.json"


@dataclass(frozen=True)
class WrongSegment:
    """A segment that is only predicted (`fp`) or only in the ground truth (`fn`).

    `category`, `area` (pixels) and `bbox` (xywh, pixels) describe this segment. `truth_id` or
    `prediction_id` is its id. The other id is that of the segment on the other side with the
    highest IoU; `other_category` is that segment's category, and `iou` is their IoU, in (0, 1]. All
    three are None if the segment overlaps no segment on the other side.
    """

    outcome: Literal["fp", "fn"]
    category: str
    area: int
    bbox: tuple[int, int, int, int]
    truth_id: int | None
    prediction_id: int | None
    other_category: str | None
    iou: float | None


@dataclass(frozen=True)
class WrongPhoto:
    """A photo with at least one wrong segment: its panoptic quality, 0..1, and the segments.

    `segments` has the false negatives first, each kind in the order of its panoptic JSON.
    """

    file_name: str
    pq: float
    segments: tuple[WrongSegment, ...]


@dataclass(frozen=True)
class RedrawList:
    """The photos with errors, lowest panoptic quality first.

    `inputs` is the digest of the ground truth and the prediction that were compared.
    """

    inputs: str
    photos: tuple[WrongPhoto, ...]


def redraw_inputs(truth_json: Path, prediction_json: Path) -> str:
    """Return a digest of all files that are compared: both JSONs, their PNGs and the instances.

    It identifies their list and everything else that is made from the comparison.
    """
    total = RunningDigest(truth_json, prediction_json, prediction_json.parent / INSTANCES)
    for json_path in (truth_json, prediction_json):
        for folder in png_folders(json_path):
            for png in sorted(folder.rglob("[!.]*")) if folder.is_dir() else ():
                if png.is_file():  # whatever its suffix; not a pipe, which would never end
                    total.add(str(png.relative_to(folder)))
                    total.add(png)
    return total.hexdigest()


def list_redraw(
    matches: Iterable[PhotoMatch], categories: Iterable[Category], *, inputs: str
) -> RedrawList:
    """List the photos with errors; `categories` are those of the ground truth and the prediction.

    `inputs` is their `redraw_inputs`, computed before they were read: if a file changes meanwhile,
    the list is outdated. Photos of equal quality keep the order of `matches`.
    """
    names = {category.id: category.name for category in categories}
    wrong = [match for match in matches if match.fp or match.fn]
    return RedrawList(
        inputs,
        tuple(
            WrongPhoto(match.truth.file_name, match.pq, _wrong_segments(match, names))
            for match in sorted(wrong, key=lambda match: match.pq)
        ),
    )


def _wrong_segments(match: PhotoMatch, names: Mapping[int, str]) -> tuple[WrongSegment, ...]:
    missed = [_wrong_segment("fn", s, match, names) for s in match.fn]
    return (*missed, *(_wrong_segment("fp", s, match, names) for s in match.fp))


def _wrong_segment(
    outcome: Literal["fp", "fn"], segment: Segment, match: PhotoMatch, names: Mapping[int, str]
) -> WrongSegment:
    other, iou = _closest(outcome, segment, match)
    other_id = other.id if other else None
    return WrongSegment(
        outcome=outcome,
        category=names[segment.category_id],
        area=segment.area,
        bbox=segment.bbox,
        truth_id=segment.id if outcome == "fn" else other_id,
        prediction_id=other_id if outcome == "fn" else segment.id,
        other_category=names[other.category_id] if other else None,
        iou=iou,
    )


def _closest(
    outcome: Literal["fp", "fn"], segment: Segment, match: PhotoMatch
) -> tuple[Segment, float] | tuple[None, None]:
    """The segment on the other side with the highest IoU, and that IoU."""
    found: list[tuple[Segment, float]] = []
    for other in (match.prediction if outcome == "fn" else match.truth).segments:
        pair = (segment.id, other.id) if outcome == "fn" else (other.id, segment.id)
        if pair in match.overlaps.shared:
            found.append((other, match.overlaps.iou(*pair)))
    return max(found, key=lambda pair: pair[1]) if found else (None, None)


def write_redraw(
    folder: Path,
    matches: Iterable[PhotoMatch],
    categories: Iterable[Category],
    *,
    inputs: str,
) -> None:
    """Write `redraw.txt` and `redraw.json` into `folder`, with the parameters of `list_redraw`.

    `matches` holds all photos of the ground truth, so that all commands write the same list.
    """
    redraw = list_redraw(matches, categories, inputs=inputs)
    (folder / JSON_NAME).unlink(missing_ok=True)  # `has_redraw` reads its digest
    write_bytes(folder / TEXT_NAME, _text(redraw), durable=True)
    write_json(folder / JSON_NAME, redraw, durable=True)


def _text(redraw: RedrawList) -> bytes:
    return "".join(f"{photo.file_name}\n" for photo in redraw.photos).encode()


def read_redraw(folder: Path) -> RedrawList:
    """Read `redraw.json`. Raises InputError if it is missing or is not such a list."""
    path = folder / JSON_NAME
    return parse(RedrawList, read_json(path), where=str(path))


def has_redraw(folder: Path, *, inputs: str) -> bool:
    """Whether `folder` contains both files for this ground truth and this prediction, whole."""
    try:
        redraw = read_redraw(folder)
    except InputError:  # missing, or written in an earlier format
        return False
    text = folder / TEXT_NAME
    return redraw.inputs == inputs and text.is_file() and text.read_bytes() == _text(redraw)
