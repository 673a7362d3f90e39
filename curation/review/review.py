"""Load a prediction beside the ground truth: an outcome for every segment, a PQ for every photo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import digest
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from conversion.coco.panoptic_file import read_panoptic
from curation.app.appearance import set_appearance
from curation.app.database import connect, explained_database_errors
from curation.app.fields import (
    COUNTS,
    FALSE_ALARM,
    HIT,
    IGNORED,
    MISSED,
    PREDICTED_SCENE,
    PREDICTED_SEGMENTS,
    TRUE_SEGMENTS,
)
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
from curation.review.views import save_review_views
from evaluation.errors.redraw import has_redraw, redraw_inputs, write_redraw
from evaluation.scores.matching import PhotoMatch, match_sets

FORMAT = "2"  # increase it if the same input gives other marks, so that all are written again
MARKED = (*TRUE_SEGMENTS, *PREDICTED_SEGMENTS)
FIELDS = ("pq", *COUNTS, PREDICTED_SCENE, *(f"{field}.detections.outcome" for field in MARKED))


@dataclass(frozen=True)
class Marks:
    """Outcomes and IoUs by segment id; segments that are not scored are `ignored`."""

    outcomes: Mapping[int, str]
    ious: Mapping[int, float]


@explained_database_errors()
def review(dataset: Dataset, truth_json: Path, prediction_json: Path, *, run: Path) -> str:
    """Add a run's prediction to FiftyOne's data set, replacing an earlier one; return its name.

    Also writes `redraw.txt` and `redraw.json` to `run`; they list all photos with errors, including
    those that the user has removed from FiftyOne. Raises InputError if the current panoptic set has
    not been loaded, or if the ground truth and the prediction do not belong together.
    """
    connect()
    samples = _loaded_samples(dataset)
    compared = redraw_inputs(truth_json, prediction_json)
    inputs = digest(FORMAT, run.name, samples.info["load"], compared)
    folder = mask_folder(dataset, "predictions", compared)
    listed = has_redraw(run, inputs=compared)
    complete = folder.is_dir() and listed and has_fields(samples, FIELDS)
    if samples.info.get("review") == inputs and complete:
        print(f"FiftyOne: review of '{run.name}' is up to date")
        return str(samples.name)
    truth = read_panoptic(truth_json)
    prediction = read_panoptic(prediction_json, truth)
    pairs = match_sets(truth, prediction)
    matches = list(track(pairs, "match", total=len(truth.photos)))
    loaded = _loaded(matches, samples)
    if not folder.is_dir():
        write_masks([prediction], folder)
    _declare(samples)
    _store(samples, loaded, prediction.categories, folder)
    save_review_views(samples, run.name)
    set_appearance(samples, truth.categories)
    samples.info = {**samples.info, "review": inputs, "run": run.name}
    samples.save()
    remove_old_masks(folder)
    categories = (*prediction.categories, *truth.categories)
    write_redraw(run, matches, categories, inputs=compared)
    print(f"FiftyOne: '{run.name}' is loaded beside the ground truth of {len(loaded)} photos")
    return str(samples.name)


def _loaded_samples(dataset: Dataset) -> fo.Dataset:
    name = fiftyone_name(dataset)
    if not fo.dataset_exists(name) or "load" not in fo.load_dataset(name).info:
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    samples = fo.load_dataset(name)
    if samples.info["panoptic"] != panoptic_digest(dataset):
        raise InputError(f"{dataset.panoptic}: has changed since it was loaded; run `curate` first")
    return samples


def _loaded(matches: Iterable[PhotoMatch], samples: fo.Dataset) -> list[PhotoMatch]:
    """Omit the photos that the user has removed from FiftyOne."""
    present = set(samples.values("photo"))
    return [match for match in matches if match.truth.file_name in present]


def _declare(samples: fo.Dataset) -> None:
    marks = {"outcome": fo.StringField, "iou": fo.FloatField}
    for field in MARKED:
        declare_segments(samples, field, **marks)
    declare_scene(samples, PREDICTED_SCENE)
    samples.add_sample_field("pq", fo.FloatField, description="panoptic quality of this photo")
    for field in COUNTS:
        samples.add_sample_field(field, fo.IntField, description="number of segments")


def _store(
    samples: fo.Dataset,
    matches: Sequence[PhotoMatch],
    categories: Sequence[Category],
    folder: Path,
) -> None:
    """Set the fields of the review for all photos; None for photos without a prediction."""
    found = {match.truth.file_name: match for match in matches}
    photos = [name for name in samples.values("photo") if name is not None]
    values: dict[str, dict[str, Any]] = {
        "pq": {name: match.pq for name, match in found.items()},
        "hits": {name: len(match.tp) for name, match in found.items()},
        "false_alarms": {name: len(match.fp) for name, match in found.items()},
        "missed": {name: len(match.fn) for name, match in found.items()},
        PREDICTED_SCENE: {
            name: scene_label(masks_of(match.prediction, folder).scene)
            for name, match in found.items()
        },
    }
    for field, things in zip(PREDICTED_SEGMENTS, (True, False), strict=True):
        before = dict(zip(*samples.values(["photo", field]), strict=True))
        values[field] = {
            name: _predictions(match, categories, folder, things=things, before=before[name])
            for name, match in found.items()
        }
    for field in TRUE_SEGMENTS:
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
    marks = _predicted_marks(match)
    return mark_segments(labels, marks.outcomes, marks.ious)


def _marked_truth(
    samples: fo.Dataset, field: str, found: Mapping[str, PhotoMatch]
) -> dict[str, fo.Detections]:
    """True segments by photo with their marks; no marks in photos without a prediction."""
    marked = {}
    for name, labels in zip(*samples.values(["photo", field]), strict=True):
        if name is not None and labels is not None:
            marks = _true_marks(found[name]) if name in found else Marks({}, {})
            marked[name] = mark_segments(labels, marks.outcomes, marks.ious)
    return marked


def _predicted_marks(match: PhotoMatch) -> Marks:
    """Mark predicted segments as hits or false alarms; those mostly on void are ignored."""
    return _marks(
        match.prediction.segments,
        {s.id: FALSE_ALARM for s in match.fp},
        {pair.prediction.id: pair.iou for pair in match.tp},
    )


def _true_marks(match: PhotoMatch) -> Marks:
    """Mark true segments as hits or missed; crowds are ignored."""
    return _marks(
        match.truth.segments,
        {s.id: MISSED for s in match.fn},
        {pair.truth.id: pair.iou for pair in match.tp},
    )


def _marks(
    segments: Iterable[Segment], errors: Mapping[int, str], hit_ious: Mapping[int, float]
) -> Marks:
    ignored = {s.id: IGNORED for s in segments}
    return Marks({**ignored, **errors, **dict.fromkeys(hit_ious, HIT)}, hit_ious)
