"""A data set's folder and its `dataset.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annotation.files import InputError, inside, read_yaml

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class StuffSource:
    """Where stuff comes from; `label_maps` names a folder of 8-bit PNGs of COCO panoptic ids."""

    label_maps: str


@dataclass(frozen=True)
class Split:
    """Shares of the splits; `group_by` names a CSV (image, group) whose groups stay together."""

    train: float = 0.8
    test: float = 0.2
    seed: int = 0
    group_by: str | None = None

    def __post_init__(self) -> None:
        if min(self.train, self.test) < 0 or abs(self.train + self.test - 1) > 1e-6:
            raise ValueError(f"shares must sum to 1, got train {self.train}, test {self.test}")


@dataclass(frozen=True)
class DatasetConfig:
    """`dataset.yaml`: Labelme labels that are things, COCO names that are stuff, stuff sources."""

    name: str
    things: tuple[str, ...]
    stuff: tuple[str, ...] = ()
    stuff_sources: tuple[StuffSource, ...] = ()
    split: Split = Split()

    def __post_init__(self) -> None:
        if not self.things:
            raise ValueError("things: at least one label expected, got none")
        names = [*self.things, *self.stuff]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"things and stuff: '{name}' stands twice")


@dataclass(frozen=True)
class Dataset:
    """One folder under `datasets/` with its parsed configuration."""

    root: Path
    config: DatasetConfig

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def labelme(self) -> Path:
        return self.root / "labelme"

    @property
    def panoptic(self) -> Path:
        return self.root / "panoptic"

    def photos(self) -> list[Path]:
        """All photos under `images/`, sorted by path."""
        return list_photos(self.images)

    def annotations(self) -> list[Path]:
        """All Labelme files under `labelme/`, sorted by path."""
        return sorted(self.labelme.rglob("*.json"))

    def inside(self, relative: str, *, where: str) -> Path:
        return inside(self.root, relative, where=where)


def open_dataset(root: Path) -> Dataset:
    """Read `root/dataset.yaml`; InputError where it is missing or wrong."""
    path = root / "dataset.yaml"
    if not path.is_file():
        raise InputError(f"{path}: missing; a data set needs it (see README, 'Your own photos')")
    return Dataset(root, read_yaml(path, DatasetConfig))


def list_photos(folder: Path) -> list[Path]:
    """All photos below `folder`, sorted; InputError where the folder is missing."""
    if not folder.is_dir():
        raise InputError(f"{folder}: missing; expected a folder of photos")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
