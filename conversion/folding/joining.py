"""The predictions of all folds as one panoptic set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from base.links import link_or_copy
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import png_names


def join_predictions(folders: Sequence[Path], out: Path) -> Path:
    """Write `out/panoptic.json` and its PNGs with the photos of the predictions in `folders`.

    Returns the path of the JSON file. Raises InputError if a prediction cannot be read.
    """
    sets = [read_panoptic(folder / "panoptic.json") for folder in folders]
    names = png_names(sorted(photo.file_name for one in sets for photo in one.photos))
    photos: list[Photo] = []
    for one in sets:
        for photo in one.photos:
            name = names[photo.file_name]
            target = out / "panoptic" / name
            target.unlink(missing_ok=True)
            link_or_copy(one.png_folder / photo.png_name, target, kind="hard")
            photos.append(replace(photo, id=len(photos) + 1, png_name=name))
    path = out / "panoptic.json"
    photos.sort(key=lambda photo: photo.file_name)
    write_panoptic(PanopticSet(path, out / "panoptic", sets[0].categories, tuple(photos)))
    return path
