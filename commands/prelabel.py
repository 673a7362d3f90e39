"""The subcommand `prelabel`: a model proposes the annotations of new photos."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from annotation.dataset import Dataset
from base.counting import counted
from base.errors import InputError
from base.files import write_bytes
from base.locks import working_on
from commands.arguments import DatasetPath, RunPath


def prelabel(run: RunPath, dataset: DatasetPath, most: int = 50) -> None:
    """Propose annotations for photos that have none, beginning with the most informative ones.

    Photos come first if the model is unsure about them and if they look unlike annotated photos.
    A photo with proposals has the flag `proposed`, and is not converted until a person removes the
    flag in Labelme. Existing annotations are never changed.

    Args:
        run: folder of a training run.
        dataset: data set with the new photos below images/ (`collect` copies photos there).
        most: maximum number of photos to annotate.
    """
    if most < 1:
        raise InputError(f"--most: expected 1 or more, found {most}")
    from annotation.labeling.prelabeling import photos_without_annotation
    from detr.prediction.sources import PhotoList
    from labelme_panoptic_detr.datasets import check, open_dataset

    opened = open_dataset(dataset)
    paths = photos_without_annotation(opened, check)
    if not paths:
        raise InputError(f"{opened.images}: all photos have annotations; add photos with `collect`")
    names = {photo.relative_to(opened.images).as_posix(): photo for photo in paths}
    others = tuple(p.relative_to(opened.images).as_posix() for p in opened.photos())
    known = PhotoList(opened.images, tuple(name for name in others if name not in names))
    new = counted(len(names), "photo")
    print(f"prelabel: {new} without annotation in {opened.images}", flush=True)
    from detr.prediction.informative import order_photos  # loads torch

    out = run / "prelabel"
    with working_on(out, "prelabel"):  # of two with one run, the second predicts other photos
        order = order_photos(run, PhotoList(opened.images, tuple(names)), known, out)[:most]
        written = _write_all(opened, out, {names[name]: paths[names[name]] for name in order})
        listed = run / "prelabel.txt"
        write_bytes(listed, "".join(f"{name}\n" for name in order).encode())
    print(
        f"{opened.root}: {counted(written, 'annotation')} proposed; {listed}: the photos in order"
    )
    command = shlex.join(["annotate", str(opened.root), "--only", str(listed)])
    print(f"to correct them: pipeline.py {command}")


def _write_all(dataset: Dataset, prediction: Path, paths: Mapping[Path, Path]) -> int:
    """Write the prediction of each photo to the path of its annotation; return their number."""
    from annotation.labeling.prelabeling import write_proposed
    from annotation.labeling.session import lock_dataset
    from conversion.coco.panoptic_file import read_panoptic
    from conversion.proposing.shapes import shapes_of_prediction

    predicted = read_panoptic(prediction / "panoptic.json")
    photos = {photo.file_name: photo for photo in predicted.photos}
    written = 0
    with lock_dataset(dataset), working_on(dataset.root, "prelabel"):
        for photo, path in paths.items():
            found = photos[photo.relative_to(dataset.images).as_posix()]
            ids, labels = predicted.segment_ids(found), dataset.config.things
            shapes = shapes_of_prediction(found, ids, predicted.categories, labels=labels)
            written += write_proposed(photo, path, shapes)
    return written
