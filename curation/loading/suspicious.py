"""Labels that are probably wrong, in the App: the list of `label-errors`, two fields and a view."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from annotation.dataset import Dataset
from base.counting import counted
from base.errors import InputError
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.folding.folds import count_folds
from curation.app.fields import SUSPECTS, SUSPICION, SUSPICIOUS_LABELS
from curation.loading.declaring import declare, label_fields, new_field
from curation.loading.labels import (
    Label,
    labels_of,
    new_label,
    set_by_photo,
    store_labels,
    xywh_norm,
)
from curation.loading.runs import prediction_of
from evaluation.label_errors.listing import suspects_inputs
from evaluation.label_errors.suspects import FILE_NAME, Suspect, read_suspects

LIST = "label_errors"  # in the data set's info: the path of the list, empty without one
_FIELDS = (SUSPECTS, SUSPICION)


@dataclass(frozen=True)
class Listed:
    """The suspects of a list, and where it is."""

    path: Path
    suspects: tuple[Suspect, ...]


def read_listed(samples: fo.Dataset, dataset: Dataset, folder: Path | None) -> Listed | None:
    """Read the list in a folder or, without one, the list that was loaded before.

    Prints a line if the ground truth or the predictions have changed since the list was made, or if
    the list that was loaded before cannot be read any more. Raises InputError if `folder` has none.
    """
    known = samples.info.get(LIST)
    if folder is None and not known:
        return None
    path = folder.resolve() / FILE_NAME if folder else Path(known)
    if folder and not path.exists():
        raise InputError(f"{path}: missing; expected the folder of `label-errors --out`")
    try:
        found = read_suspects(path)
    except InputError as error:
        if folder:
            raise
        print(f"FiftyOne: suspicious labels are no longer shown: {error}")
        return None
    out = path.parent
    if found.inputs != suspects_inputs(dataset.panoptic, prediction_of(out)):
        words = ["label-errors", str(dataset.root), "--out", str(out)]
        words += ["--folds", str(folds)] if (folds := count_folds(out)) else []
        command = f"pipeline.py {shlex.join(words)}"
        print(f"{path}: annotations have changed since; to rank the labels again: {command}")
    return Listed(path, found.suspects)


def has_suspects(samples: fo.Dataset) -> bool:
    """Whether the fields of suspects exist; a user can delete them in the App."""
    return set(_FIELDS) <= set(samples.get_field_schema())


def show_suspects(samples: fo.Dataset, listed: Listed | None, sets: Iterable[PanopticSet]) -> None:
    """Store the suspects of photos in two fields, and save a view of these photos.

    Suspects that are listed again keep their ids and tags. Without a list, fields and view are
    deleted. Prints how many photos are not in the panoptic `sets`.
    """
    if listed is None:
        _delete(samples)
        return
    if not has_suspects(samples):
        _delete(samples)
        _declare(samples)
    photos = {photo.file_name: photo for panoptic in sets for photo in panoptic.photos}
    by_photo: dict[str, list[Suspect]] = {}
    for suspect in listed.suspects:
        by_photo.setdefault(suspect.file_name, []).append(suspect)
    if unknown := sorted(by_photo.keys() - photos.keys()):
        left = counted(len(unknown), "photo")
        print(f"{listed.path}: left out: {left} not in the data set, such as {unknown[0]}")
    with_suspects = [name for name in samples.exists(SUSPECTS).values("photo") if name]
    before = labels_of(samples, SUSPECTS, with_suspects)
    now = {
        name: _labels(by_photo[name], photo, before.get(name, ()))
        for name, photo in photos.items()
        if name in by_photo
    }
    _store(samples, before, now)
    view = samples.exists(SUSPICION).sort_by(SUSPICION, reverse=True)
    samples.save_view(SUSPICIOUS_LABELS, view, overwrite=True)


def _labels(suspects: Iterable[Suspect], photo: Photo, before: Iterable[Label]) -> list[Label]:
    """Make a label of each suspect of a photo; one in `before` with its text and box is reused."""
    known = {(label["label"], *label["bounding_box"]): label for label in before}
    labels = []
    for suspect in suspects:
        box = xywh_norm(suspect.bbox, photo)
        label = known.pop((suspect.text, *box), None) or new_label(suspect.text, list(box))
        labels.append({**label, "confidence": suspect.score, "kind": suspect.kind})
    return labels


def _store(
    samples: fo.Dataset, before: dict[str, list[Label]], now: dict[str, list[Label]]
) -> None:
    """Set the fields of photos whose suspects have changed, and clear them where there are none.

    The suspects are written last: a photo that has them is complete.
    """
    changed = {name: labels for name, labels in now.items() if labels != before.get(name)}
    gone = dict.fromkeys(sorted(before.keys() - now.keys()))
    highest = {name: max(one["confidence"] for one in own) for name, own in changed.items()}
    set_by_photo(samples, SUSPICION, {**gone, **highest})
    set_by_photo(samples, SUSPECTS, gone)
    store_labels(samples, SUSPECTS, changed, before)


def _declare(samples: fo.Dataset) -> None:
    highest = new_field(fo.FloatField, "highest score of the suspects of this photo")
    suspects = label_fields(SUSPECTS, {"kind": fo.StringField})
    declare(samples, {**suspects, SUSPICION: highest})


def _delete(samples: fo.Dataset) -> None:
    if fields := [name for name in _FIELDS if samples.has_sample_field(name)]:
        samples.delete_sample_fields(fields)  # it reloads the set even if there are none
    if samples.has_saved_view(SUSPICIOUS_LABELS):
        samples.delete_saved_view(SUSPICIOUS_LABELS)
