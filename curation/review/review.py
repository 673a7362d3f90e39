"""Load a prediction beside the ground truth: an outcome for every segment, a PQ for every photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo

from annotation.dataset import Dataset
from base.counting import counted
from base.files import digest
from base.locks import working_on
from base.progress import track
from base.workers import batched
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from curation.app.appearance import save_workspace, set_appearance
from curation.app.database import connect, explained_database_errors, forget
from curation.app.fields import (
    CONFUSIONS,
    COUNTS,
    ERROR_KINDS,
    OTHERS,
    PREDICTED_SCENE,
    PREDICTED_SEGMENTS,
    PRICE,
    RUNS_DISAGREE,
    TRUE_SEGMENTS,
    WORST_PHOTOS,
)
from curation.loading.declaring import (
    declare,
    new_field,
    scene_field,
    segment_fields,
    strings_field,
)
from curation.loading.labels import (
    BATCH,
    labels_of,
    scene_label,
    set_by_photo,
    set_changed,
    store_labels,
    values_of,
)
from curation.loading.load import has_fields, loaded_samples
from curation.loading.masks import PhotoMasks, mask_folder, remove_old_masks, write_masks
from curation.loading.runs import predict_command, prediction_of, remember_runs, run_name
from curation.review.evaluations import store_evaluations
from curation.review.marks import (
    ATTRIBUTES,
    Compared,
    PhotoMarks,
    compare,
    find_confusions,
    mark_photos,
    mark_segments,
    price_kinds,
)
from curation.review.other import Other, find_others, only_predicted, show_others
from curation.review.predicted import store_predicted
from curation.review.views import save_review_views, view_of_kind
from evaluation.errors.redraw import has_redraw, redraw_inputs, write_redraw
from evaluation.scores.matching import match_sets

FORMAT = "6"  # increase it if the same input gives other marks, so that all are written again
PHOTO_FIELDS = ("pq", PRICE, *COUNTS, ERROR_KINDS, CONFUSIONS, PREDICTED_SCENE)
MARKED = (*TRUE_SEGMENTS, *PREDICTED_SEGMENTS)
FIELDS = (*PHOTO_FIELDS, *(f"{field}.detections.{name}" for field in MARKED for name in ATTRIBUTES))


@explained_database_errors()
def review(dataset: Dataset, truth_json: Path, prediction_json: Path, *, run: Path) -> str:
    """Add a run's prediction to FiftyOne's data set; return its name.

    The predictions of the run that was reviewed before stay beside it if they are about the same
    split; those of earlier runs do not. Photos without a prediction, as those that were added to
    the split later, are left out with a message. `run` is the folder of the run, or, for a split
    other than `test`, the folder of that split in it. Also writes `redraw.txt` and `redraw.json`
    there; they list all photos with errors, including those that the user has removed from
    FiftyOne. Raises InputError if the current panoptic set has not been loaded, if the ground truth
    and the prediction do not belong together, or if no photo has a prediction.
    """
    with working_on(dataset.root, "review"):
        return _review(dataset, truth_json, prediction_json, run=run)


def _review(dataset: Dataset, truth_json: Path, prediction_json: Path, *, run: Path) -> str:
    connect()
    samples = loaded_samples(dataset)
    folder = mask_folder(dataset, "predictions")
    compared = redraw_inputs(truth_json, prediction_json)
    others = find_others(samples, run)
    beside = [f"{one} {redraw_inputs(truth_json, prediction_of(one))}" for one in others]
    inputs = digest(FORMAT, str(run.resolve()), samples.info["load"], compared, *beside)
    name, listed = run_name(run), has_redraw(run, inputs=compared)
    other_fields = [name for fields, _ in zip(OTHERS, others, strict=False) for name in fields.all]
    complete = folder.is_dir() and listed and has_fields(samples, [*FIELDS, *other_fields])
    if samples.info.get("review") == inputs and complete:
        print(f"FiftyOne: review of '{name}' is up to date")
        return str(samples.name)
    truth = read_panoptic(truth_json)
    prediction = read_panoptic(prediction_json, truth)
    whole, truth = truth, only_predicted(truth, prediction)
    if left := len(whole.photos) - len(truth.photos):
        again = predict_command(run, dataset.panoptic)
        print(f"left out: {counted(left, 'photo')} without a prediction; to predict them: {again}")
    pairs = match_sets(truth, prediction)
    matches = list(track(pairs, "match", total=len(truth.photos)))
    comparison = compare(matches, truth.categories)
    reuse = "review" in samples.info  # otherwise, it was stopped: its masks may be incomplete
    forget(samples, "review")
    masks = write_masks([prediction], folder, reuse=reuse)
    if not has_fields(samples, FIELDS):
        _declare(samples)
    marks = mark_photos(comparison)
    count = _store(samples, marks, prediction, masks)
    store_evaluations(samples, matches, truth.categories)
    shown = show_others(samples, dataset, truth, others, marks, reuse=reuse)
    kinds = [kind for kind, _, _ in price_kinds(comparison)]
    beside_it = {run_name(one.run): one.fields for one in shown}
    save_review_views(samples, name, kinds, find_confusions(comparison), beside_it)
    set_appearance(samples, truth.categories)
    save_workspace(samples)
    errors = _panel(comparison, name, shown)
    remember_runs(samples, [run, *(one.run for one in shown)])
    remove_old_masks(folder, masks)
    categories = (*prediction.categories, *truth.categories)
    with working_on(run / "report", "review"):  # `report` writes these files too
        write_redraw(run, matches, categories, inputs=compared)
    samples.info = {**samples.info, "review": inputs, "errors": errors}
    samples.save()
    photos = counted(count, "photo")
    print(f"FiftyOne: '{name}' is loaded beside the ground truth of {photos}")
    return str(samples.name)


def _panel(compared: Compared, name: str, others: Sequence[Other]) -> dict[str, Any]:
    """Return what the panel of the App shows: the kinds of errors, the most expensive first.

    `others` are the runs beside it.
    """
    kinds = [
        {"kind": kind, "number": number, "price": price, "view": view_of_kind(kind)}
        for kind, number, price in price_kinds(compared)
    ]
    pq = 100 * float(compared.prices.pq)
    beside = [
        {"run": run_name(one.run), "pq": one.pq, "field": one.fields.segments[0]} for one in others
    ]
    shown = {"run": name, "pq": pq, "view": WORST_PHOTOS, "kinds": kinds}
    return {**shown, "others": beside, "disagree": RUNS_DISAGREE}


def _declare(samples: fo.Dataset) -> None:
    fields = {
        PREDICTED_SCENE: scene_field(),
        "pq": new_field(fo.FloatField, "panoptic quality of this photo"),
        PRICE: new_field(fo.FloatField, "points of PQ that the errors of this photo cost"),
        **{field: new_field(fo.IntField, "number of segments") for field in COUNTS},
        **{field: strings_field() for field in (ERROR_KINDS, CONFUSIONS)},
    }
    for field in MARKED:
        fields |= segment_fields(field, ATTRIBUTES)
    declare(samples, fields)


def _store(
    samples: fo.Dataset,
    marks: Mapping[str, PhotoMarks],
    prediction: PanopticSet,
    masks: Mapping[str, PhotoMasks],
) -> int:
    """Set the fields of all photos with a prediction, clear those of an earlier one; count them.

    Photos that the user has removed from FiftyOne are omitted.
    """
    rows = zip(*samples.values(["photo", "pq"]), strict=True)
    reviewed = {name: pq is not None for name, pq in rows if name is not None}
    _clear(samples, [name for name, old in reviewed.items() if old and name not in marks])
    found = [name for name in marks if name in reviewed]
    for names in track(list(batched(found, BATCH)), "review"):
        _store_photos(samples, {name: marks[name] for name in names}, prediction, masks)
    return len(found)


def _clear(samples: fo.Dataset, names: Sequence[str]) -> None:
    if names:
        for field in (*PHOTO_FIELDS, *PREDICTED_SEGMENTS):
            set_by_photo(samples, field, dict.fromkeys(names))
        for field in TRUE_SEGMENTS:
            labels = labels_of(samples, field, names)
            unmarked = {name: mark_segments(labels[name], {}) for name in labels}
            store_labels(samples, field, unmarked, labels)


def _store_photos(
    samples: fo.Dataset,
    marks: Mapping[str, PhotoMarks],
    prediction: PanopticSet,
    masks: Mapping[str, PhotoMasks],
) -> None:
    values: dict[str, Callable[[PhotoMarks], Any]] = {
        "pq": lambda one: one.match.pq,
        PRICE: lambda one: one.price,
        "hits": lambda one: len(one.match.tp),
        "false_alarms": lambda one: len(one.match.fp),
        "missed": lambda one: len(one.match.fn),
        ERROR_KINDS: lambda one: list(one.error_kinds),
        CONFUSIONS: lambda one: list(one.confusions),
    }
    by_field = {
        field: {name: value(one) for name, one in marks.items()} for field, value in values.items()
    }
    set_changed(samples, by_field)
    (before,) = values_of(samples, [f"{PREDICTED_SCENE}.mask_path"], marks)
    scenes = {name: scene_label(masks[name]) for name in marks}
    changed = {name: one for name, one in scenes.items() if one.mask_path != before.get(name)}
    set_by_photo(samples, PREDICTED_SCENE, changed)
    store_predicted(samples, PREDICTED_SEGMENTS, marks, prediction, masks)
    for field in TRUE_SEGMENTS:
        truth = labels_of(samples, field, marks)
        marked = {name: mark_segments(truth[name], marks[name].truth) for name in truth}
        store_labels(samples, field, marked, truth)
