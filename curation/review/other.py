"""The run that was reviewed before: its predictions stay beside those of the run reviewed now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from annotation.dataset import Dataset
from base.errors import InputError
from base.progress import track
from base.workers import batched
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from curation.app.fields import OTHER_PQ, OTHER_SEGMENTS, PQ_CHANGE
from curation.loading.labels import BATCH, declare_segments, set_by_photo
from curation.loading.load import has_fields
from curation.loading.masks import mask_folder, remove_old_masks, write_masks
from curation.loading.runs import prediction_of, reviewed_runs, split_of
from curation.review.marks import ATTRIBUTES, PhotoMarks, compare, mark_photos
from curation.review.predicted import store_predicted
from evaluation.scores.matching import match_sets

FIELDS = (PQ_CHANGE, OTHER_PQ, *OTHER_SEGMENTS)


@dataclass(frozen=True)
class Other:
    """A run that is shown beside the reviewed one, and its PQ in percent."""

    run: Path
    pq: float


def find_other(samples: fo.Dataset, run: Path) -> Path | None:
    """Return the run reviewed last apart from `run` on the same split, if it has predictions."""
    others = (one for one in reviewed_runs(samples) if one != run.resolve())
    return next((one for one in others if split_of(one) == split_of(run)), None)


def show_other(
    samples: fo.Dataset,
    dataset: Dataset,
    truth: PanopticSet,
    run: Path | None,
    marks: Mapping[str, PhotoMarks],
) -> Other | None:
    """Load the predictions of `run` into fields of their own, and the changes of PQ since.

    `marks` are those of the run that is reviewed now. Without a run, or if its predictions do not
    fit the ground truth, these fields are deleted.
    """
    folder = mask_folder(dataset, "other")
    try:
        prediction = read_panoptic(prediction_of(run), truth) if run else None
        matches = match_sets(truth, prediction) if prediction else ()
        found = list(track(matches, "match", total=len(truth.photos)))
    except InputError as error:
        print(f"not shown beside this run: {error}")
        prediction = None
    if run is None or prediction is None:
        samples.delete_sample_fields([name for name in FIELDS if samples.has_sample_field(name)])
        remove_old_masks(folder, {})
        return None
    compared = compare(found, truth.categories)
    others = mark_photos(compared)
    masks = write_masks([prediction], folder)
    if not has_fields(samples, FIELDS):
        _declare(samples)
    names = [name for name in samples.values("photo") if name is not None]
    for batch in batched(names, BATCH):
        pq = {name: others[name].match.pq if name in others else None for name in batch}
        both = [name for name in batch if name in others and name in marks]
        change = dict.fromkeys(batch) | {n: marks[n].match.pq - others[n].match.pq for n in both}
        set_by_photo(samples, OTHER_PQ, pq)
        set_by_photo(samples, PQ_CHANGE, change)
        shown = {name: others[name] for name in batch if name in others}
        store_predicted(samples, OTHER_SEGMENTS, shown, prediction, masks)
        if without := [name for name in batch if name not in others]:
            for field in OTHER_SEGMENTS:
                set_by_photo(samples, field, dict.fromkeys(without))
    remove_old_masks(folder, masks)
    return Other(run, 100 * float(compared.prices.pq))


def _declare(samples: fo.Dataset) -> None:
    for field in OTHER_SEGMENTS:
        declare_segments(samples, field, ATTRIBUTES)
    for field, what in ((OTHER_PQ, "pq of the other run"), (PQ_CHANGE, "pq minus other_pq")):
        samples.add_sample_field(field, fo.FloatField, description=what)
