"""The subcommand `relabel`: photos with probable errors go back to Labelme."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from annotation.dataset import Dataset
from annotation.decisions import FILE_NAME, read_decisions
from base.counting import counted
from base.errors import InputError, nearest
from commands.annotation import print_annotated
from commands.arguments import DatasetPath
from commands.conversion import convert

if TYPE_CHECKING:
    from conversion.proposing.marking import Place


def relabel(
    dataset: DatasetPath,
    photos: Annotated[Positional[Path], arg(metavar="LIST")],
    run: Path | None = None,
    with_predictions: bool = False,
) -> None:
    """Open the photos of a list in Labelme with its errors marked; convert and score the changes.

    A rectangle whose label begins with "? " marks each place. To accept a proposal, give it a label
    of the set. Marks and other proposals do not become part of the data set.

    Args:
        dataset: folder with dataset.yaml.
        photos: redraw.json, suspects.json, the set's curation.yaml, or a text file with one path
            below images/ per line.
        run: folder with the predictions; default: the folder of LIST.
        with_predictions: also show the predicted segments that differ from the annotations, as
            proposals with few vertices.
    """
    from annotation.labeling.launch import annotate as open_labelme
    from evaluation.label_errors.proposing import marked, marked_with_predictions
    from evaluation.scores.rescoring import match_predicted, rescore
    from labelme_panoptic_detr.datasets import check, open_dataset

    opened = open_dataset(dataset)
    places = _read_list(photos, opened)
    prediction = (run or photos.parent) / "predictions" / "panoptic.json"
    before = None
    if prediction.is_file():
        before = match_predicted(opened.panoptic, prediction)
    elif run is not None or with_predictions:
        raise InputError(f"{prediction}: missing; give the folder of a run with --run")
    if before is not None and with_predictions:
        added = marked_with_predictions(places, before, labels=opened.config.things)
    else:
        added = marked(places)
    by_photo = {opened.images / name: shapes for name, shapes in added.items()}
    done = open_labelme(opened, check=check, added=by_photo)
    print_annotated(done)
    if not done.changed:
        return
    failed = any(finding.severity == "error" for finding in done.findings)
    try:
        convert(dataset)
    except SystemExit:  # annotations with errors are left out, as it has printed
        failed = True
    if before is not None:
        names = {photo.relative_to(opened.images).as_posix() for photo in done.photos}
        print("\n".join(rescore(before, names).lines()))
        if (prediction.parents[1] / "config.yaml").is_file():
            command = shlex.join(["review", str(prediction.parents[1])])
            print(f"to see the changes in FiftyOne: pipeline.py {command}")
    if failed:
        sys.exit(1)


def _read_list(path: Path, dataset: Dataset) -> dict[str, list[Place]]:
    """Return the places by file name. Raises InputError if a photo is not in the set."""
    from annotation.labeling.worklist import read_photo_list
    from evaluation.label_errors.places import read_places

    known, images = dataset.photos(), dataset.images
    if path.name == FILE_NAME:
        decided = [name for name in read_decisions(dataset).relabel if (images / name).is_file()]
        if not decided:
            raise InputError(f"{path}: relabel: expected photos, found none")
        return {name: [] for name in decided}
    if path.suffix.lower() != ".json":
        listed = read_photo_list(path, dataset, known)
        return {photo.relative_to(images).as_posix(): [] for photo in listed}
    places = read_places(path, labels=dataset.config.labels)
    names = {photo.relative_to(images).as_posix() for photo in known}
    for name in places:
        if name not in names:
            raise InputError(f"{path}: no photo '{name}' in {images}{nearest(name, names)}")
    found = {name: own for name, own in places.items() if own}
    if len(found) < len(places):
        photos = counted(len(places) - len(found), "photo")
        print(f"left out: {photos} whose errors are only in stuff that is not drawn")
    if not found:
        raise InputError(f"{path}: lists no place that can be drawn again")
    return found
