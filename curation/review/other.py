"""The runs that were reviewed before: their predictions stay beside those of the reviewed run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import fiftyone as fo

from annotation.dataset import Dataset
from base.errors import InputError
from base.progress import track
from base.workers import batched
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from curation.app.fields import OTHERS, OtherFields
from curation.loading.declaring import declare, new_field, segment_fields
from curation.loading.labels import BATCH, clear_labels, set_changed
from curation.loading.load import has_fields
from curation.loading.masks import mask_folder, remove_old_masks, write_masks
from curation.loading.runs import prediction_of, reviewed_runs, split_of
from curation.review.marks import ATTRIBUTES, PhotoMarks, compare, mark_photos
from curation.review.predicted import store_predicted
from evaluation.scores.matching import match_sets


@dataclass(frozen=True)
class Other:
    """A run that is shown beside the reviewed one, its PQ in percent, and its fields."""

    run: Path
    pq: float
    fields: OtherFields


def find_others(samples: fo.Dataset, run: Path) -> list[Path]:
    """Return the runs reviewed before `run` on the same split that have predictions, last first."""
    others = (one for one in reviewed_runs(samples) if one != run.resolve())
    return [one for one in others if split_of(one) == split_of(run)][: len(OTHERS)]


def only_predicted(truth: PanopticSet, prediction: PanopticSet) -> PanopticSet:
    """Return the true photos that have a prediction; raise InputError if there are none."""
    names = {photo.file_name for photo in prediction.photos}
    kept = tuple(photo for photo in truth.photos if photo.file_name in names)
    if truth.photos and not kept:
        raise InputError(f"{prediction.json_path}: no prediction for {truth.photos[0].file_name}")
    return replace(truth, photos=kept)


def show_others(
    samples: fo.Dataset,
    dataset: Dataset,
    truth: PanopticSet,
    runs: Sequence[Path],
    marks: Mapping[str, PhotoMarks],
    *,
    reuse: bool,
) -> list[Other]:
    """Load the predictions of runs into fields of their own, and the changes of PQ since.

    `marks` are those of the run that is reviewed now; `reuse` is described in `write_masks`.
    Predictions that do not fit the ground truth are left out; fields without a run are deleted.
    """
    shown = [
        _show(samples, dataset, truth, run, fields, marks, reuse=reuse)
        for fields, run in zip_longest(OTHERS, runs)
    ]
    return [one for one in shown if one is not None]


def _show(
    samples: fo.Dataset,
    dataset: Dataset,
    truth: PanopticSet,
    run: Path | None,
    fields: OtherFields,
    marks: Mapping[str, PhotoMarks],
    *,
    reuse: bool,
) -> Other | None:
    folder = mask_folder(dataset, fields.masks)
    try:
        prediction = read_panoptic(prediction_of(run), truth) if run else None
        both = only_predicted(truth, prediction) if prediction else truth
        matches = match_sets(both, prediction) if prediction else ()
        found = list(track(matches, "match", total=len(both.photos)))
    except InputError as error:
        print(f"not shown beside this run: {error}")
        prediction = None
    if run is None or prediction is None:
        if stale := list(filter(samples.has_sample_field, fields.all)):
            samples.delete_sample_fields(stale)  # it reloads the set even if there are none
        remove_old_masks(folder, {})
        return None
    compared = compare(found, truth.categories)
    others = mark_photos(compared)
    masks = write_masks([prediction], folder, reuse=reuse)
    if not has_fields(samples, fields.all):
        _declare(samples, fields)
    names = [name for name in samples.values("photo") if name is not None]
    for batch in batched(names, BATCH):
        pq = {name: others[name].match.pq if name in others else None for name in batch}
        in_both = [name for name in batch if name in others and name in marks]
        change = dict.fromkeys(batch) | {n: marks[n].match.pq - others[n].match.pq for n in in_both}
        set_changed(samples, {fields.pq: pq, fields.change: change})
        shown = {name: others[name] for name in batch if name in others}
        store_predicted(samples, fields.segments, shown, prediction, masks)
        without = [name for name in batch if name not in others]
        for field in fields.segments:
            clear_labels(samples, field, without)
    remove_old_masks(folder, masks)
    return Other(run, 100 * float(compared.prices.pq), fields)


def _declare(samples: fo.Dataset, fields: OtherFields) -> None:
    things, stuff = (segment_fields(field, ATTRIBUTES) for field in fields.segments)
    pq = new_field(fo.FloatField, "pq of another run")
    change = new_field(fo.FloatField, f"pq minus {fields.pq}")
    declare(samples, {**things, **stuff, fields.pq: pq, fields.change: change})
