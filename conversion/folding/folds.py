"""The folds of a built set for cross-validation, each a data set that can be trained on.

    OUT/photos/, OUT/pngs/       all photos and segment ids of the set (links)
    OUT/fold-1/dataset.yaml      that of the set
    OUT/fold-1/panoptic/         train: the photos of the other folds; test: those of this one

The photos of a group are in one fold, and every category has its share in each. The folds keep the
labels that the set had when they were written, so that a training can be continued later: `convert`
replaces PNGs and never changes them, so that their hard links in the folds keep the old pixels.
"""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import digest, inside
from base.links import link_or_copy
from base.parsing import write_json
from base.syncing import sync_all
from conversion.building.assignment import assign_splits, count_table
from conversion.building.group_file import group_file_path, groups_of
from conversion.coco.panoptic import PanopticSet, Photo, find_split_jsons, split_json
from conversion.coco.panoptic_file import read_panoptic, write_panoptic

FEWEST_PHOTOS = 2  # of a fold
COMPLETE = "folds.json"  # written last: the fold of each photo


def fold_folders(out: Path, count: int) -> list[Path]:
    """Return the folders of the folds, data sets that `train` and `predict` read."""
    return [out / f"fold-{number}" for number in range(1, count + 1)]


def count_folds(out: Path) -> int:
    """Return how many folds a folder has; 0 if they are missing or incomplete."""
    return sum(1 for _ in out.glob("fold-*")) if (out / COMPLETE).is_file() else 0


def write_folds(dataset: Dataset, out: Path, count: int) -> None:
    """Write `count` folds of a built set into `out`, unless they are there already.

    Raises InputError if the set is not built, if `out` has another number of folds, or if there are
    too few groups of photos.
    """
    if found := count_folds(out):
        if found != count:
            raise InputError(f"{out}: expected {count} folds, found {found}; use another --out")
        return
    sets = [read_panoptic(path) for path in find_split_jsons(dataset.panoptic).values()]
    if not sets or not (dataset.panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(dataset.root))}"
        raise InputError(f"{dataset.panoptic}: missing or incomplete; build it with `{command}`")
    photos = [photo for one in sets for photo in one.photos]
    fold_of = _assign(dataset.panoptic, photos, count)
    for one in sets:
        copy_photos(dataset, one, out)
    for number, folder in enumerate(fold_folders(out, count)):
        train = [photo for photo in photos if fold_of[photo.file_name] != number]
        test = [photo for photo in photos if fold_of[photo.file_name] == number]
        write_part(dataset, folder, sets[0], train=train, test=test)
    sync_all(out)  # a power cut must not leave only the file that says they are complete
    write_json(out / COMPLETE, fold_of, indent=1, durable=True)


def _assign(panoptic: Path, photos: Sequence[Photo], count: int) -> dict[str, int]:
    """Return the fold of each photo, from 0."""
    groups = groups_of(panoptic, [photo.file_name for photo in photos])
    if len(groups) < count * FEWEST_PHOTOS:
        expected = f"expected at least {count * FEWEST_PHOTOS} groups of photos for {count} folds"
        raise InputError(f"{panoptic}: {expected}, found {len(groups)}")
    groups.sort(key=lambda group: digest(*group))  # a random order
    counts = {p.file_name: Counter(s.category_id for s in p.segments) for p in photos}
    shares = {str(number): 1 / count for number in range(count)}
    places = assign_splits(count_table(groups, counts), [None] * len(groups), shares)
    found = {
        name: int(place) for group, place in zip(groups, places, strict=True) for name in group
    }
    return dict(sorted(found.items()))


def copy_photos(dataset: Dataset, panoptic: PanopticSet, out: Path) -> None:
    """Link the photos and PNGs of one split of a built set below `out`, for `write_part`."""
    where = str(panoptic.json_path)
    for photo in panoptic.photos:
        link = inside(out / "photos", photo.file_name, where=where)
        png = inside(out / "pngs", photo.png_name, where=where)
        link.unlink(missing_ok=True)
        png.unlink(missing_ok=True)
        link_or_copy(dataset.images / photo.file_name, link, kind="symbolic")
        link_or_copy(panoptic.png_folder / photo.png_name, png, kind="hard")


def write_part(
    dataset: Dataset,
    folder: Path,
    model: PanopticSet,
    *,
    train: Iterable[Photo],
    test: Iterable[Photo],
) -> None:
    """Write a data set of some photos of `dataset`; `copy_photos` has put them beside `folder`.

    Its categories are those of `model`.
    """
    panoptic = folder / "panoptic"
    panoptic.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dataset.root / "dataset.yaml", folder / "dataset.yaml")
    jsons = []
    for split, photos in (("train", train), ("test", test)):
        for link, target in ((split, "photos"), (f"panoptic_{split}", "pngs")):
            (panoptic / link).unlink(missing_ok=True)
            (panoptic / link).symlink_to(Path("../..") / target, target_is_directory=True)
        numbered = tuple(replace(photo, id=number) for number, photo in enumerate(photos, 1))
        jsons.append(split_json(panoptic, split))
        write_panoptic(replace(model, json_path=jsons[-1], photos=numbered))
    if group_file_path(dataset.panoptic).is_file():
        shutil.copyfile(group_file_path(dataset.panoptic), group_file_path(panoptic))
    write_json(panoptic / "manifest.json", {"inputs": digest(*jsons), "part": folder.name})
