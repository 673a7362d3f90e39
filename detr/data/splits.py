"""The splits of a built panoptic data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from base.errors import InputError
from conversion.coco.panoptic import PanopticSet, read_panoptic, split_json
from detr.config import TrainConfig
from detr.data.classes import ClassTable, packed_classes
from detr.data.examples import Examples


@dataclass(frozen=True)
class Splits:
    """The folder `panoptic/` of a data set and its two splits."""

    folder: Path
    train: PanopticSet
    test: PanopticSet
    classes: ClassTable

    def examples(self, split: str, config: TrainConfig) -> Examples:
        """Return the examples of the "train" or "test" split."""
        panoptic = self.train if split == "train" else self.test
        return Examples(panoptic, self.folder / split, self.classes, config)


def read_splits(folder: Path) -> Splits:
    """Read the folder `panoptic/` of a data set.

    Raises InputError if it has not been built or has no photos to train on.
    """
    json_paths = [split_json(folder, split) for split in ("train", "test")]
    for path in (*json_paths, folder / "manifest.json"):
        if not path.is_file():
            raise InputError(f"{path}: missing; build the panoptic data set first")
    train, test = (read_panoptic(path) for path in json_paths)
    if not train.photos:
        raise InputError(f"{json_paths[0]}: expected photos to train on, found none")
    return Splits(folder, train, test, packed_classes(train.categories))
