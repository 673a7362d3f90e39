"""The splits of a built panoptic data set, and the training photos that are held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from base.errors import InputError
from base.files import digest
from conversion.building.assignment import assign_splits, count_table
from conversion.building.group_file import groups_of
from conversion.coco.panoptic import PanopticSet, Photo, find_split_jsons, split_json
from conversion.coco.panoptic_file import read_panoptic
from detr.config import TrainConfig
from detr.data.classes import ClassTable, packed_classes
from detr.data.examples import Examples

LEAST_PHOTOS = 20  # of a training split of which photos are held out
MOST_HELD_OUT = 2  # times the wanted number of photos, which large groups may exceed

Split = Literal["train", "tune", "test"]


@dataclass(frozen=True)
class Splits:
    """The folder `panoptic/` of a data set and its splits; `test` may have no photos.

    `tune` holds the photos that select epochs and thresholds: those of the split `val`, or some
    held out of the training split, which are then not in `train`. It has no photos if that split is
    too small, and is None if none are wanted.
    """

    folder: Path
    train: PanopticSet
    test: PanopticSet
    classes: ClassTable
    tune: PanopticSet | None = None
    val: PanopticSet | None = None

    @property
    def held_out(self) -> Split:
        """The split on which epochs are measured and selected; also a key of the log."""
        return "test" if self.tune is None else "tune"

    @property
    def held_out_set(self) -> PanopticSet:
        """The photos of the split `held_out`."""
        return self.test if self.tune is None else self.tune

    def images(self, split: Split) -> Path:
        """Return the folder of a split's photos."""
        if split == "tune":
            return self.folder / ("val" if self.tune is self.val else "train")
        return self.folder / split

    def examples(self, split: Split, config: TrainConfig) -> Examples:
        """Return the examples of a split."""
        panoptic = self.train if split == "train" else self.held_out_set
        assert split in ("train", self.held_out), (
            "only one split is used besides the training split"
        )
        return Examples(panoptic, self.images(split), self.classes, config)


def read_splits(folder: Path) -> Splits:
    """Read the folder `panoptic/` of a data set.

    Raises InputError if it has not been built, has neither a split "test" nor a split "val", or has
    no photos to train on.
    """
    found = find_split_jsons(folder)
    if found and not {"test", "val"} & found.keys():
        raise InputError(
            f"{folder}: expected a split 'test', on which runs are scored, or 'val', found the"
            f" splits {', '.join(found)}; rename one in `split` of dataset.yaml, and convert again"
        )
    for path in (split_json(folder, "train"), folder / "manifest.json"):
        if not path.is_file():
            raise InputError(f"{path}: missing; build the panoptic data set first")
    train, *others = (
        read_panoptic(path) if (path := split_json(folder, split)).is_file() else None
        for split in ("train", "val", "test")
    )
    assert train is not None
    if not train.photos:
        raise InputError(f"{train.json_path}: expected photos to train on, found none")
    val, test = others
    if test is None:
        test = PanopticSet(split_json(folder, "test"), folder, train.categories, ())
    return Splits(folder, train, test, packed_classes(train.categories), val=val)


def hold_out(splits: Splits, config: TrainConfig) -> Splits:
    """Choose the photos of `tune`: the split `val`, or else a fraction of the training photos.

    These are moved out of the training split in whole groups.
    Groups are those of `groups.json`; without it, each photo is its own group. Categories have the
    same share of their segments held out, as far as groups allow. The result depends only on the
    seed and the photos. No photos are held out of fewer than LEAST_PHOTOS, or if groups are so
    large that far more than wanted would be. Raises InputError if `groups.json` is damaged.
    """
    if splits.val is not None and splits.val.photos:
        return replace(splits, tune=splits.val)
    if not config.tune:
        return splits
    chosen = _choose(splits, config) if len(splits.train.photos) >= LEAST_PHOTOS else set()
    if len(chosen) > max(1, MOST_HELD_OUT * config.tune * len(splits.train.photos)):
        chosen = set()

    def part(held_out: bool) -> PanopticSet:
        photos = splits.train.photos
        kept = tuple(photo for photo in photos if (photo.file_name in chosen) == held_out)
        return replace(splits.train, photos=kept)

    return replace(splits, train=part(False), tune=part(True))


def _choose(splits: Splits, config: TrainConfig) -> set[str]:
    """Return the names of the photos to hold out."""
    photos = {photo.file_name: photo for photo in splits.train.photos}
    groups = groups_of(splits.folder, list(photos))
    groups.sort(key=lambda group: digest(str(config.seed), *group))  # a random order
    counts = {name: _count_categories(photo) for name, photo in photos.items()}
    shares = {"train": 1 - config.tune, "tune": config.tune}
    places = assign_splits(count_table(groups, counts), [None] * len(groups), shares)
    return {
        name
        for group, place in zip(groups, places, strict=True)
        for name in group
        if place == "tune"
    }


def _count_categories(photo: Photo) -> Counter[int]:
    return Counter(segment.category_id for segment in photo.segments)
