"""Annotations that a model proposes for photos that have none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from annotation.dataset import Dataset
from annotation.labeling.worklist import Check, annotation_paths, read_status
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from annotation.labelme.proposals import PROPOSED
from annotation.photos.files import photo_size


def photos_without_annotation(dataset: Dataset, check: Check) -> dict[Path, Path]:
    """Return the photos that have no annotation, and the path that each annotation would have.

    Raises InputError as `read_status` does.
    """
    status = read_status(dataset, check)
    paths = annotation_paths(dataset, status)
    return {photo: paths[photo] for photo in status.photos if photo not in status.annotations}


def write_proposed(photo: Path, path: Path, shapes: Iterable[Shape]) -> bool:
    """Write proposed shapes as the annotation of a photo, unless the file exists.

    The photo has the flag PROPOSED, so that nothing of it is used until a person removes the flag.
    Returns whether the file was written. Raises InputError if the photo cannot be read.
    """
    if path.exists():
        return False
    height, width = photo_size(photo)
    image_path = os.path.relpath(photo, path.parent).replace(os.sep, "/")
    flags = {PROPOSED: True}
    write_annotation(
        path, Annotation(image_path, height, width, tuple(shapes), flags), durable=True
    )
    return True
