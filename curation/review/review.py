"""Predictions beside the ground truth: every segment marked, every photo with its PQ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import digest, write_bytes
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, read_panoptic
from curation.app.appearance import save_review_views, show
from curation.app.database import connect
from curation.loading.entries import panoptic_digest
from curation.loading.labels import (
    declare_scene,
    declare_segments,
    mark_segments,
    scene_label,
    segment_labels,
)
from curation.loading.load import fiftyone_name, has_fields, set_by_photo
from curation.loading.masks import mask_folder, masks_of, remove_old_masks, write_masks
from evaluation.scores.matching import PhotoMatch, match_sets

REDRAW = "redraw.txt"
FORMAT = "1"  # change it when the same input makes other marks, so that all are made anew
TRUTH_FIELDS = ("ground_truth", "ground_truth_stuff")
FIELDS = (("predictions", True), ("predictions_stuff", False))  # field, whether of things
COUNTS = ("hits", "false", "missed")
MARKED = (*TRUTH_FIELDS, *(field for field, _ in FIELDS))
ALL_FIELDS = (
    "pq",
    *COUNTS,
    "predicted_scene",
    *(f"{field}.detections.outcome" for field in MARKED),
)


@dataclass(frozen=True)
class Marks:
    """Outcome and IoU by segment id; a segment that counts for nobody is `ignored`."""

    outcomes: dict[int, str]
    ious: dict[int, float]


def review(dataset: Dataset, truth_json: Path, prediction_json: Path, *, run: Path) -> str:
    """Add a run's prediction to FiftyOne's data set; return its name.

    `RUN/redraw.txt` lists the photos with missed or false segments, the worst first, as
    `annotate --only` reads it. A new review takes the place of an earlier one. Raises InputError
    where the set was not loaded as it is now, or where truth and prediction do not fit.
    """
    redraw = run / REDRAW
    connect()
    samples = _loaded_samples(dataset)
    inputs = digest(FORMAT, run.name, samples.info["load"], truth_json, prediction_json)
    folder = mask_folder(dataset, "predictions", digest(prediction_json))
    files = folder.is_dir() and redraw.is_file()
    if samples.info.get("review") == inputs and files and has_fields(samples, ALL_FIELDS):
        print(f"FiftyOne: review of '{run.name}' is up to date")
        return str(samples.name)
    truth, prediction = read_panoptic(truth_json), read_panoptic(prediction_json)
    matches = _match(truth, prediction, samples)
    if not folder.is_dir():
        write_masks([(prediction, photo) for photo in prediction.photos], folder)
    _declare(samples)
    _store(samples, matches, prediction.categories, folder)
    save_review_views(samples, run.name)
    show(samples, truth.categories)
    samples.info = {**samples.info, "review": inputs, "run": run.name}
    samples.save()
    remove_old_masks(folder)
    write_bytes(redraw, _worst_first(matches).encode())
    print(f"FiftyOne: '{run.name}' is beside the ground truth of {len(matches)} photos")
    return str(samples.name)


def _worst_first(matches: Sequence[PhotoMatch]) -> str:
    """Names of the photos with errors, one a line."""
    wrong = [match for match in matches if match.false or match.missed]
    return "".join(f"{m.truth.file_name}\n" for m in sorted(wrong, key=lambda match: match.pq))


def _loaded_samples(dataset: Dataset) -> fo.Dataset:
    name = fiftyone_name(dataset)
    if not fo.dataset_exists(name) or "load" not in fo.load_dataset(name).info:
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    samples = fo.load_dataset(name)
    if samples.info["panoptic"] != panoptic_digest(dataset):
        raise InputError(f"{dataset.panoptic}: has changed since it was loaded; run `curate` first")
    return samples


def _match(truth: PanopticSet, prediction: PanopticSet, samples: fo.Dataset) -> list[PhotoMatch]:
    """Match all photos, but those that the user has taken out of FiftyOne."""
    present = set(samples.values("photo"))
    matches = track(match_sets(truth, prediction), "match", total=len(truth.photos))
    return [match for match in matches if match.truth.file_name in present]


def _declare(samples: fo.Dataset) -> None:
    marks = {"outcome": fo.StringField, "iou": fo.FloatField}
    for field in MARKED:
        declare_segments(samples, field, **marks)
    declare_scene(samples, "predicted_scene")
    samples.add_sample_field("pq", fo.FloatField, description="panoptic quality of this photo")
    for field in COUNTS:
        samples.add_sample_field(field, fo.IntField, description="number of segments")


def _store(
    samples: fo.Dataset,
    matches: Sequence[PhotoMatch],
    categories: Sequence[Category],
    folder: Path,
) -> None:
    """Set the review's fields of every photo; None where a photo has no prediction."""
    found = {match.truth.file_name: match for match in matches}
    photos = [name for name in samples.values("photo") if name is not None]
    values: dict[str, dict[str, Any]] = {
        "pq": {name: match.pq for name, match in found.items()},
        "hits": {name: len(match.hits) for name, match in found.items()},
        "false": {name: len(match.false) for name, match in found.items()},
        "missed": {name: len(match.missed) for name, match in found.items()},
        "predicted_scene": {
            name: scene_label(masks_of(match.prediction, folder).scene)
            for name, match in found.items()
        },
    }
    for field, things in FIELDS:
        before = dict(zip(*samples.values(["photo", field]), strict=True))
        values[field] = {
            name: _predictions(match, categories, folder, things=things, before=before[name])
            for name, match in found.items()
        }
    for field in TRUTH_FIELDS:
        values[field] = _marked_truth(samples, field, found)
    for field, by_photo in values.items():
        set_by_photo(samples, field, {**dict.fromkeys(photos), **by_photo})


def _predictions(
    match: PhotoMatch,
    categories: Sequence[Category],
    folder: Path,
    *,
    things: bool,
    before: fo.Detections | None,
) -> fo.Detections:
    photo = match.prediction
    masks = masks_of(photo, folder)
    labels = segment_labels(photo, masks, categories, things=things, before=before)
    marks = predicted_marks(match)
    return mark_segments(labels, marks.outcomes, marks.ious)


def _marked_truth(
    samples: fo.Dataset, field: str, found: dict[str, PhotoMatch]
) -> dict[str, fo.Detections]:
    """True segments by photo with their marks; without any where a photo has no prediction."""
    marked = {}
    for name, labels in zip(*samples.values(["photo", field]), strict=True):
        if name is not None and labels is not None:
            marks = true_marks(found[name]) if name in found else Marks({}, {})
            marked[name] = mark_segments(labels, marks.outcomes, marks.ious)
    return marked


def predicted_marks(match: PhotoMatch) -> Marks:
    """Each predicted segment of a photo: hit or false, or ignored where it lies on void."""
    outcomes = {s.id: "ignored" for s in match.prediction.segments}
    outcomes.update({s.id: "false" for s in match.false})
    outcomes.update({hit.prediction.id: "hit" for hit in match.hits})
    return Marks(outcomes, {hit.prediction.id: hit.iou for hit in match.hits})


def true_marks(match: PhotoMatch) -> Marks:
    """Each true segment of a photo: hit or missed, or ignored where it is crowd."""
    outcomes = {s.id: "ignored" for s in match.truth.segments}
    outcomes.update({s.id: "missed" for s in match.missed})
    outcomes.update({hit.truth.id: "hit" for hit in match.hits})
    return Marks(outcomes, {hit.truth.id: hit.iou for hit in match.hits})
