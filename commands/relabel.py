"""The subcommand `relabel`: photos with probable errors go back to Labelme."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from annotation.dataset import Dataset
from annotation.decisions import FILE_NAME, end_relabeling, read_decisions
from base.counting import counted
from base.errors import InputError, nearest
from commands.annotation import print_annotated
from commands.arguments import DatasetPath
from commands.conversion import convert

if TYPE_CHECKING:
    from evaluation.label_errors.places import Places
    from evaluation.scores.rescoring import MatchedPhotos


def relabel(
    dataset: DatasetPath,
    photos: Annotated[Positional[Path], arg(metavar="LIST")],
    run: Path | None = None,
    with_predictions: bool = False,
) -> None:
    """Open the photos of a list in Labelme with its errors marked; convert and score the changes.

    A rectangle whose label begins with "? " marks each place. To accept a proposal, give it a label
    of the set. Marks and other proposals do not become part of the data set. Photos of
    curation.yaml that were changed, and have no error, are removed from its list `relabel`.

    Args:
        dataset: folder with dataset.yaml.
        photos: redraw.json, suspects.json, the set's curation.yaml, or a text file with one path
            below images/ per line.
        run: folder with the predictions; default: the folder of LIST.
        with_predictions: also show the predicted segments that differ from the annotations, as
            proposals with few vertices.
    """
    from annotation.labeling.launch import annotate as open_labelme
    from curation.loading.runs import split_of
    from evaluation.label_errors.proposing import marked, marked_with_predictions
    from evaluation.scores.rescoring import match_predicted, rescore
    from labelme_panoptic_detr.datasets import check, open_dataset

    opened = open_dataset(dataset)
    prediction = (run or photos.parent) / "predictions" / "panoptic.json"
    before = None
    if prediction.is_file():
        before = match_predicted(opened.panoptic, prediction)
    elif run is not None or with_predictions:
        raise InputError(f"{prediction}: missing; give the folder of a run with --run")
    places = _read_list(photos, opened, before)
    if before is not None and with_predictions:
        added = marked_with_predictions(places, before, labels=opened.config.things)
    else:
        added = marked(places)
    by_photo = {opened.images / name: shapes for name, shapes in added.items()}
    done = open_labelme(opened, check=check, added=by_photo)
    print_annotated(done)
    if photos.name == FILE_NAME and done.changed:
        left = end_relabeling(opened, _names(opened, done.faultless)).relabel
        print(f"{photos}: {len(left)} left to relabel")
    failed = any(finding.severity == "error" for finding in done.findings)
    try:  # even if nothing was drawn: the list may come from `decide`, whose changes are to apply
        convert(dataset)
    except SystemExit:  # annotations with errors are left out, as it has printed
        failed = True
    if done.changed and before is not None:
        print("\n".join(rescore(before, _names(opened, done.photos)).lines()))
        folder = prediction.parents[1]
        split = split_of(folder)
        words = [] if split == "test" else ["--split", split]
        reviewed = folder.resolve().parent if words else folder
        if (reviewed / "config.yaml").is_file():
            command = shlex.join(["review", str(reviewed), *words])
            print(f"to see the changes in FiftyOne: pipeline.py {command}")
    elif done.changed:
        print("not scored: give the folder of a run with --run")
    if failed:
        sys.exit(1)


def _names(dataset: Dataset, photos: Iterable[Path]) -> set[str]:
    return {photo.relative_to(dataset.images).as_posix() for photo in photos}


def _read_list(path: Path, dataset: Dataset, before: MatchedPhotos | None) -> Places:
    """Return the photos of the list and the places to mark, those of the errors in `before`.

    Raises InputError if there is nothing to show, or if a photo is not in the set.
    """
    from annotation.labeling.worklist import read_photo_list
    from evaluation.label_errors.places import find_places, read_places

    if path.suffix.lower() == ".json":
        if not path.exists():
            raise InputError(f"{path}: missing; `review` and `report` write redraw.json")
        return _drawable(
            path, dataset, read_places(path, labels=dataset.config.labels, matched=before)
        )
    if path.name == FILE_NAME:
        names = _decided(path, dataset)
    else:
        listed = read_photo_list(path, dataset, dataset.photos())
        names = [photo.relative_to(dataset.images).as_posix() for photo in listed]
    found = find_places(names, before, labels=dataset.config.labels) if before else {}
    ordered = [*found, *names] if path.name == FILE_NAME else names  # that one has no order
    return {name: found.get(name, []) for name in ordered}


def _decided(path: Path, dataset: Dataset) -> list[str]:
    """Return the photos that a person decided to annotate again; warn of those that are missing."""
    from labelme_panoptic_detr.datasets import print_missing_decisions

    tell = "send photos to Labelme in FiftyOne's App, then run `decide`"
    own = dataset.root / FILE_NAME
    if not path.is_file():
        raise InputError(f"{path}: missing; {tell}")
    if not (own.is_file() and path.samefile(own)):
        raise InputError(f"{path}: belongs to another data set; expected {own}")
    print_missing_decisions(dataset)
    decided = [
        name for name in read_decisions(dataset).relabel if (dataset.images / name).is_file()
    ]
    if not decided:
        raise InputError(f"{path}: relabel: expected photos, found none; {tell}")
    return decided


def _drawable(path: Path, dataset: Dataset, places: Places) -> Places:
    """Return the photos that have places."""
    names = _names(dataset, dataset.photos())
    for name in places:
        if name not in names:
            raise InputError(f"{path}: no photo '{name}' in {dataset.images}{nearest(name, names)}")
    found = {name: own for name, own in places.items() if own}
    if len(found) < len(places):
        left = counted(len(places) - len(found), "photo")
        print(
            f"left out: {left} without errors now, or with errors only in stuff that is not drawn"
        )
    if not found:
        raise InputError(f"{path}: lists no place that can be drawn again")
    return found
